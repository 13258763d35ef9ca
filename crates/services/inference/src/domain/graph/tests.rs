use super::*;
use crate::domain::manifest::Manifest;

const HEAD: &str = r#"
format = 1
[model]
name = "m"
version = "1"
title = "M"
vendor = "V"
license = "MIT"
source = "nowhere"
[intended_use]
statement = "none"
not_for_clinical_use = true
[input]
as = "series"
selects = "MR"
modality = "MR"
min_slices = 3
[[segment]]
label = "Brain"
mask = "out"
category = { code = "123037004", scheme = "SCT", meaning = "Anatomical Structure" }
type = { code = "12738006", scheme = "SCT", meaning = "Brain" }
color = [255, 0, 0]
when_empty = "Nothing."
"#;

fn check(steps: &str) -> Result<Graph, String> {
    let manifest = Manifest::parse(&format!("{HEAD}{steps}")).map_err(|e| e.to_string())?;
    Graph::new(&manifest).map_err(|e| e.to_string())
}

fn step(text: &str) -> String {
    text.lines()
        .map(|l| format!("[[step]]\n{}\n", l.trim().replace("; ", "\n")))
        .collect()
}

#[test]
fn a_graph_is_checked_when_it_is_loaded() {
    let good = step("do = \"threshold\"; input = \"series\"; output = \"out\"; above = 0.5");
    assert!(check(&good).is_ok());
    for (steps, expect) in [
        (
            "do = \"threshold\"; input = \"siries\"; output = \"out\"; above = 0.5",
            "does not exist here",
        ),
        (
            "do = \"threshold\"; input = \"series\"; output = \"out\"; abvoe = 0.5",
            "unknown field",
        ),
        (
            "do = \"treshold\"; input = \"series\"; output = \"out\"; above = 0.5",
            "unknown variant",
        ),
        (
            "do = \"fill-holes\"; input = \"series\"; output = \"out\"",
            "is not a mask",
        ),
        (
            "do = \"threshold\"; input = \"series\"; output = \"series\"; above = 0.5",
            "given twice",
        ),
        (
            "do = \"threshold\"; input = \"series\"; output = \"else\"; above = 0.5",
            "does not exist",
        ),
        (
            "do = \"resize\"; input = \"series\"; output = \"out\"; method = \"nearest\"; size = [4, 4, 4]",
            "is not a mask on the source's grid",
        ),
        (
            "do = \"resize\"; input = \"series\"; output = \"out\"; method = \"nearest\"",
            "either size or like",
        ),
        (
            "do = \"quantile-window\"; input = \"series\"; output = \"out\"; lower = 0.9; upper = 0.1",
            "not below",
        ),
        (
            "do = \"network\"; input = \"series\"; output = \"out\"; file = \"a.onnx\"; tensor_in = \"a\"; tensor_out = \"b\"; layout = \"NCXYZ\"; channel = 0; channels = 1; memory_mb = 1",
            "fixed size",
        ),
        (
            "do = \"network\"; input = \"series\"; output = \"out\"; file = \"../a.onnx\"; tensor_in = \"a\"; tensor_out = \"b\"; layout = \"NCXYZ\"; channel = 0; channels = 1; memory_mb = 1",
            "own folder",
        ),
    ] {
        let error = check(&step(steps)).expect_err(expect);
        assert!(error.contains(expect), "{expect}: {error}");
    }
}

#[test]
fn the_estimate_grows_with_the_source_and_counts_the_network() {
    let steps = step(
        "do = \"resize\"; input = \"series\"; output = \"s\"; method = \"nearest\"; size = [64, 64, 64]
         do = \"network\"; input = \"s\"; output = \"p\"; file = \"a.onnx\"; tensor_in = \"a\"; tensor_out = \"b\"; layout = \"NCXYZ\"; channel = 0; channels = 1; memory_mb = 100
         do = \"threshold\"; input = \"p\"; output = \"m\"; above = 0.5
         do = \"resize\"; input = \"m\"; output = \"out\"; method = \"nearest\"; like = \"series\"",
    );
    let graph = check(&steps).unwrap();
    let small = graph.estimate([10, 10, 10]);
    assert!(
        (BASE_BYTES + 100 * 1024 * 1024..BASE_BYTES + 110 * 1024 * 1024).contains(&small),
        "{small}"
    );
    let large = graph.estimate([1000, 512, 512]);
    assert!(large >= BASE_BYTES + 1000 * 512 * 512 * 4, "{large}");
}
