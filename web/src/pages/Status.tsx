// How this installation does, and how to reach it.

import { api } from '../api/client';
import { useMay } from '../api/session';
import { useResource } from '../api/useResource';
import { WAYS, taken } from '../lib/destination';
import { moment } from '../lib/format';
import { receiver } from '../lib/receiver';
import { Badge, Fact, Failure, Loading, useTitle } from '../parts';
import { PatientMerges } from '../parts/PatientMerges';
import { Link } from '../router';

export function Status() {
  useTitle('Status');
  const status = useResource('status', api.status, []);
  const may = useMay();
  return (
    <>
      <div className="page-head"><h1>Status</h1></div>
      {status.error && <Failure error={status.error} retry={status.reload} />}
      {!status.data && !status.error && <Loading lines={4} />}
      {status.data && (
        <>
          <section aria-labelledby="services">
            <h2 id="services">Services</h2>
            <ul className="tiles">
              {status.data.services.map(one => (
                <li key={one.name} className="card">
                  <div className="card-head"><h3>{one.name}</h3><Badge tone={one.ready ? 'good' : 'bad'}>{one.ready ? 'Ready' : 'Not ready'}</Badge></div>
                  {one.detail && <p className="reason">{one.detail}</p>}
                </li>
              ))}
            </ul>
          </section>
          <section aria-labelledby="doors">
            <h2 id="doors">Reaching this installation</h2>
            <div className="card">
              <dl className="facts">
                <Fact name="AE title">{status.data.ae_title}</Fact>
                <Fact name="DICOM">{receiver(status.data.dicom_address, location.hostname).join(':')}{status.data.dicom_tls && ' over TLS'}</Fact>
                <Fact name="DICOMweb">{location.origin}/dicomweb</Fact>
                <Fact name="Version">{status.data.version}</Fact>
                <Fact name="Running since">{moment(status.data.started_at)}</Fact>
              </dl>
            </div>
          </section>
        </>
      )}
      {may('view-studies') && <><Destinations /><PatientMerges /></>}
    </>
  );
}

function Destinations() {
  const may = useMay();
  const destinations = useResource('destinations', api.destinations, ['administration']);
  return (
    <section aria-labelledby="destinations">
      <h2 id="destinations">Destinations of results</h2>
      {destinations.error && <Failure error={destinations.error} retry={destinations.reload} />}
      {destinations.data?.items.length === 0 && <p className="faint">None: results stay here.{may('manage-settings') && <> <Link href="/admin/destinations">Add one.</Link></>}</p>}
      <ul className="tiles">
        {destinations.data?.items.map(one => (
          <li key={one.id} className="card">
            <div className="card-head"><h3>{one.name}</h3>{one.paused && <Badge tone="warn">Paused</Badge>}</div>
            <p className="second">{WAYS[one.kind]}{one.ae_title && ` · ${one.ae_title}`} · {one.address}</p>
            <p className="second">{taken(one)}</p>
          </li>
        ))}
      </ul>
    </section>
  );
}
