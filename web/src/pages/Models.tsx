// The models of this installation.

import { api } from '../api/client';
import type { Model } from '../api/types';
import { useResource } from '../api/useResource';
import { Badge, Empty, Fact, Failure, Loading, Notice, Uid, useTitle } from '../parts';

export function Models() {
  useTitle('Models');
  const { data, error, reload } = useResource('models', api.models, []);
  return (
    <>
      <div className="page-head"><h1>Models</h1></div>
      <p className="lead">A model runs by itself on every complete series that it selects, unless it says otherwise. Its results are kept beside the images, as DICOM.</p>
      {error && <Failure error={error} retry={reload} />}
      {!data && !error && <Loading />}
      {data?.items.length === 0 && <Empty title="No models"><p>Put a model's folder into the models folder that Hilum's configuration names, then start Hilum again.</p></Empty>}
      {data?.items.map(model => (
        <article key={`${model.name} ${model.version}`} className="card">
          <header className="card-head">
            <div>
              <h3>{model.title}</h3>
              <p className="second">{[model.name, model.version, model.vendor].filter(Boolean).join(' · ')}</p>
            </div>
            <State model={model} />
          </header>
          {model.problem && <Notice tone="bad" title="This model can't run"><p>{model.problem}</p></Notice>}
          {model.not_for_clinical_use && model.state === 'ready' && <p className="research"><strong>Research demonstration — not for clinical use.</strong></p>}
          <dl className="facts wide">
            {model.intended_use && <Fact name="Intended use">{model.intended_use}</Fact>}
            {model.selects && <Fact name={model.automatic ? 'Runs on' : 'Never starts by itself; it is made for'}>{model.selects}</Fact>}
            {model.license && <Fact name="Licence">{model.license}</Fact>}
            {model.digest && <Fact name="Digest"><Uid value={model.digest} /></Fact>}
          </dl>
        </article>
      ))}
    </>
  );
}

function State({ model }: { model: Model }) {
  if (model.state !== 'ready') return <Badge tone="bad">Not usable</Badge>;
  if (model.share === 0) return <Badge tone="warn">Switched off</Badge>;
  if (model.share < 1) return <Badge tone="good">On for about {Math.round(model.share * 100)} % of studies</Badge>;
  return <Badge tone="good">Ready</Badge>;
}
