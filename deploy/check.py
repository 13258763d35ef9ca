"""Checks the chart and the compose file beyond their schemas.

    deploy/check.py [HILUM]

The chart is linted and rendered by Helm's own library with the values of `CASES`, and
what comes out is held against the schemas of Kubernetes, cert-manager and the
Prometheus operator, and against itself: what names something names something that is
there. HILUM, a program, is asked whether it takes the settings of every process.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import helm_python
import kubernetes_validate
import yaml
from cloudcoil.models.cert_manager import v1 as cert_manager
from cloudcoil.models.prometheus_operator import v1 as prometheus

DEPLOY = Path(__file__).parent
CHART = DEPLOY / "helm" / "hilum"
SERVICES = ["imaging", "patients", "inference", "integration", "identity", "audit"]
# The oldest that the chart takes, and the newest that there are schemas of.
KUBERNETES = ["1.30", "1.37"]

NEEDED = {
    "image": {"repository": "registry.example/hilum"},
    "host": "hilum.example.org",
    "masterKey": {"secret": "master"},
    "database": {"secret": "database", "ownerSecret": "owner"},
    "bus": {"secret": "bus"},
    "web": {"tls": {"secret": "web"}},
}
CASES = {
    "what is needed": ("hilum", NEEDED),
    "everything": (
        "north",
        NEEDED
        | {
            "image": {"repository": "registry.example/hilum", "digest": "sha256:" + "0" * 64},
            "imagePullSecrets": [{"name": "pull"}],
            "config": 'quiet_seconds = 2.0\n[identity]\nsign_up = "open"\n',
            "secrets": [{"name": "mail", "secret": "mail"}],
            "web": {
                "tls": {"issuerRef": {"name": "public", "kind": "ClusterIssuer"}},
                "service": {
                    "type": "LoadBalancer",
                    "port": 8443,
                    "annotations": {"a": "b"},
                    "loadBalancerSourceRanges": ["192.0.2.0/24"],
                },
            },
            "dicom": {
                "tls": False,
                "clientCaSecret": "devices",
                "service": {"type": "LoadBalancer", "port": 11112},
            },
            "services": {
                "imaging": {
                    "storage": {"size": "4Ti", "className": "fast"},
                    "nodeSelector": {"disk": "fast"},
                    "tolerations": [{"key": "imaging", "operator": "Exists"}],
                    "podAnnotations": {"a": "b"},
                }
            },
            "models": {"existingClaim": "models"},
            "networkPolicy": {
                "from": {"dicom": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]},
                "to": {"database": {"port": 6432, "peers": [{"ipBlock": {"cidr": "192.0.2.9/32"}}]}},
                "extraEgress": [{"ports": [{"port": 4318, "protocol": "TCP"}]}],
            },
            "monitoring": {
                "serviceMonitor": {"enabled": True, "tokenSecret": {"name": "token"}, "caSecret": "ca"},
                "rules": {"enabled": True},
                "dashboard": {"enabled": True},
            },
        },
    ),
    "own certificates": (
        "hilum",
        NEEDED
        | {
            "neighbours": {"certManager": False, "secret": "neighbours"},
            "bus": {"secret": "bus", "hasCa": False},
            "networkPolicy": {"enabled": False},
            "migration": {"enabled": False},
            "podDisruptionBudget": {"enabled": False},
            "updateStrategy": "OnDelete",
        },
    ),
}
# What the chart refuses, and a part of what it says.
REFUSED = {
    "web.tls": NEEDED | {"web": {"tls": {}}},
    "neighbours": NEEDED | {"neighbours": {"certManager": False}},
    "masterKey.secret": NEEDED | {"masterKey": {"secret": ""}},
    "ownerSecret": NEEDED | {"database": {"secret": "database"}},
    "image.repository": NEEDED | {"image": {"repository": ""}},
    "host": NEEDED | {"host": ""},
    "replicas": NEEDED | {"services": {"imaging": {"replicas": 2}}},
}
CUSTOM = {
    "Certificate": cert_manager.Certificate,
    "Issuer": cert_manager.Issuer,
    "ServiceMonitor": prometheus.ServiceMonitor,
    "PrometheusRule": prometheus.PrometheusRule,
}


class Once(yaml.SafeLoader):
    """Refuses a key that stands twice in one mapping: YAML's readers take the last."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        assert len(keys) == len(set(keys)), f"a key stands twice: {node.start_mark}"
        return super().construct_mapping(node, deep)


def render(values, name):
    with helm_python.Chart.load(CHART) as chart:
        files = chart.render(values, name=name, namespace="imaging", is_install=True)
    documents = []
    for path, text in sorted(files.items()):
        if path.endswith((".yaml", ".yml")):
            documents += [one for one in yaml.load_all(text, Once) if one]
    return documents


def contains(whole, part):
    """Whether everything of `part` stands in `whole`."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(
            key in whole and contains(whole[key], value) for key, value in part.items()
        )
    if isinstance(part, list):
        return (
            isinstance(whole, list)
            and len(whole) == len(part)
            and all(contains(one, other) for one, other in zip(whole, part))
        )
    return whole == part


def check_schema(document):
    kind = document["kind"]
    if kind in CUSTOM:
        # A field that the model does not know is gone when it is written again.
        known = CUSTOM[kind].model_validate(document).model_dump(mode="json", by_alias=True, exclude_unset=True)
        assert contains(known, document), f"{kind} {document['metadata']['name']}: a field that is unknown"
        return
    for version in KUBERNETES:
        kubernetes_validate.validate(document, version, strict=True)


def check_restricted(pod, where):
    """The restricted profile of the Pod Security Standards, and a read-only root."""
    security = pod["securityContext"]
    assert security["runAsNonRoot"] is True and security["runAsUser"] > 0, where
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}, where
    assert pod["automountServiceAccountToken"] is False, where
    assert pod["enableServiceLinks"] is False, f"{where}: variables of the cluster stop Hilum"
    for forbidden in ["hostNetwork", "hostPID", "hostIPC"]:
        assert forbidden not in pod, where
    for volume in pod["volumes"]:
        kinds = set(volume) - {"name"}
        assert kinds <= {"emptyDir", "configMap", "secret", "persistentVolumeClaim"}, (where, kinds)
    for container in pod["containers"]:
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False, where
        assert security["readOnlyRootFilesystem"] is True, where
        assert security["capabilities"] == {"drop": ["ALL"]}, where
        assert set(container["resources"]) == {"requests", "limits"}, where


def check_names(documents):
    """What names something names something that is there, once."""
    of = lambda *kinds: [one for one in documents if one["kind"] in kinds]
    names = [(one["kind"], one["metadata"]["name"]) for one in documents]
    assert len(names) == len(set(names)), "a name stands twice"
    made = {one["spec"]["secretName"] for one in of("Certificate")}
    given = {"master", "database", "owner", "bus", "web", "neighbours", "devices", "mail", "token", "ca", "pull"}
    pods = [(one["metadata"]["name"], one["spec"]["template"]) for one in of("StatefulSet", "Job")]
    for name, template in pods:
        pod = template["spec"]
        check_restricted(pod, name)
        claims = next(
            (one["spec"].get("volumeClaimTemplates", []) for one in of("StatefulSet") if one["metadata"]["name"] == name),
            [],
        )
        volumes = {volume["name"] for volume in pod["volumes"] + [one["metadata"] for one in claims]}
        for volume in pod["volumes"]:
            if "secret" in volume:
                assert volume["secret"]["secretName"] in made | given, (name, volume)
                assert volume["secret"]["defaultMode"] & 0o027 == 0, f"{name}: Hilum refuses a key that others can read"
            if "configMap" in volume:
                assert ("ConfigMap", volume["configMap"]["name"]) in names, (name, volume)
        for container in pod["containers"]:
            mounts = [mount["name"] for mount in container["volumeMounts"]]
            assert set(mounts) == volumes, (name, set(mounts) ^ volumes)
            folders = {mount["mountPath"] for mount in container["volumeMounts"]}
            for variable in container["env"]:
                for path in [text for text in variable.get("value", "").split('"') if text.startswith("/")]:
                    assert path in folders or os.path.dirname(path) in folders, (name, path)
    labels = [template["metadata"]["labels"] for _, template in pods]
    ports = {
        port["name"]
        for _, template in pods
        for container in template["spec"]["containers"]
        for port in container.get("ports", [])
    }
    matched = lambda selector: [one for one in labels if selector.items() <= one.items()]
    for service in of("Service"):
        assert matched(service["spec"]["selector"]), service["metadata"]["name"]
        for port in service["spec"]["ports"]:
            assert port["targetPort"] in ports, port
    for one in of("NetworkPolicy", "PodDisruptionBudget"):
        selector = one["spec"].get("podSelector") or one["spec"]["selector"]
        assert matched(selector["matchLabels"]), one["metadata"]["name"]
    for monitor in of("ServiceMonitor"):
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        services = [one for one in of("Service") if wanted <= one["metadata"]["labels"].items()]
        assert len(services) == 1, "figures are asked for at one service's pods, once"
    stateful = of("StatefulSet")
    assert sorted(one["spec"]["serviceName"] for one in stateful) == sorted(one["metadata"]["name"] for one in stateful)
    assert all(one["spec"]["replicas"] == 1 for one in stateful), "two of a service may not run at once"
    issuers = {one["metadata"]["name"] for one in of("Issuer")}
    for certificate in of("Certificate"):
        reference = certificate["spec"]["issuerRef"]
        assert reference["kind"] != "Issuer" or reference["name"] in issuers, reference
    neighbours = [one for one in of("Certificate") if one["metadata"]["name"].endswith("-neighbour")]
    for one in neighbours:
        assert ("Service", one["spec"]["dnsNames"][0]) in names, "a certificate is for no service's name"


def check_compose(compose):
    declared = {kind: set(compose[kind]) for kind in ["volumes", "networks", "services"]}
    for name, service in compose["services"].items():
        used = {one["source"] for one in service.get("volumes", []) if one["type"] == "volume"}
        assert used <= declared["volumes"], (name, used)
        for one in service.get("volumes", []):
            if one["type"] == "bind":
                assert (DEPLOY / "compose" / one["source"]).is_file(), one
        assert set(service.get("networks", [])) <= declared["networks"], name
        assert set(service.get("depends_on", [])) <= declared["services"], name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
    assert set(SERVICES) <= declared["services"]


def settings(documents, config):
    """The settings of every process of the chart: a name, variables and the file."""
    for one in documents:
        if one["kind"] in ("StatefulSet", "Job"):
            container = one["spec"]["template"]["spec"]["containers"][0]
            variables = {each["name"]: each["value"] for each in container["env"] if "value" in each}
            serves = container["args"][0] == "serve"
            if serves:
                variables["HILUM_SERVICES"] = json.dumps([container["args"][2]])
            yield one["metadata"]["name"], dict(variables), config if serves else ""
            # As a command in the pod has them.
            variables.pop("HILUM_SERVICES", None)
            yield f"{one['metadata']['name']}, a command", variables, ""


def check_taken(hilum, name, variables, config):
    with tempfile.TemporaryDirectory() as folder:
        # The addresses of the bus and the cache are read when the settings are; nothing else is.
        bus, cache = Path(folder) / "bus", Path(folder) / "cache"
        bus.write_text("amqps://hilum:word@rabbit.example.org/hilum\n")
        cache.write_text("rediss://hilum:word@redis.example.org:6379/0\n")
        file = Path(folder) / "hilum.toml"
        read = {"/etc/hilum/bus/url": bus, "/secrets/bus.url": bus, "/secrets/cache.url": cache}
        for path, stands in read.items():
            config = config.replace(path, str(stands))
            variables = {key: value.replace(path, str(stands)) for key, value in variables.items()}
        file.write_text(config)
        command = [hilum, "doctor", "--json", "--config", str(file)]
        environment = {"PATH": os.environ["PATH"], **variables, "HILUM_DATA": folder}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    checks = json.loads(done.stdout)["checks"]
    said = next(one for one in checks if one["what"] == "configuration")
    assert said["finding"] == "good", f"{name}: {said['text']}"


def main():
    hilum = sys.argv[1] if len(sys.argv) > 1 else None
    processes = []
    for case, (name, values) in CASES.items():
        for version in KUBERNETES:
            report = helm_python.lint(CHART, values, strict=True, kube_version=f"v{version}.0")
            assert not report["errors"], (case, report)
        documents = render(values, name)
        for document in documents:
            check_schema(document)
        check_names(documents)
        processes += settings(documents, values.get("config", ""))
        print(f"chart, {case}: {len(documents)} resources")
    for said, values in REFUSED.items():
        try:
            render(values, "hilum")
        except helm_python.HelmError as refused:
            assert said in str(refused), refused
        else:
            raise AssertionError(f"taken, and should be refused: {said}")
    compose = yaml.load((DEPLOY / "compose" / "compose.yaml").read_text(), Once)
    check_compose(compose)
    config = (DEPLOY / "compose" / "hilum.toml").read_text()
    for name in [*SERVICES, "migrate"]:
        service = compose["services"][name]
        variables = {
            # As Compose fills in what nobody sets.
            key: value.replace("${HILUM_HOST:-localhost}", "localhost").replace("${HILUM_HTTPS_PORT:-8443}", "8443")
            for key, value in service["environment"].items()
        }
        assert "$" not in "".join(variables.values()), variables
        serves = service["command"][0] == "serve"
        if serves:
            variables["HILUM_SERVICES"] = json.dumps([service["command"][-1]])
        processes.append((f"compose {name}", variables, config if serves else ""))
        # As the image's health check asks.
        processes.append((f"compose {name}, health", service["environment"] and variables, ""))
    print(f"compose: {len(compose['services'])} services")
    if hilum:
        for name, variables, text in processes:
            if name.endswith("health"):
                variables = {key: value for key, value in variables.items() if key != "HILUM_SERVICES"}
            check_taken(hilum, name, variables, text)
        print(f"hilum takes the settings of {len(processes)} processes")


main()
