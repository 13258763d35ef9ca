// One study: why each series was considered complete, what the models made of
// it, and where the results went.

import { api } from '../api/client';
import type { Run, StudyDetail } from '../api/types';
import { useMay } from '../api/session';
import { useResource } from '../api/useResource';
import { age, count, dicomDate, dicomTime, moment, plural, sex } from '../lib/format';
import { ApiError } from '../api/http';
import { seriesIn, timeline } from '../lib/timeline';
import { viewerAddress } from '../lib/viewer';
import { Announce, Empty, Fact, Failure, Loading, Notice, Uid, useTitle } from '../parts';
import { Allowed } from '../parts/Allowed';
import { Corrections } from '../parts/Corrections';
import { Deliveries } from '../parts/Deliveries';
import { Dialogue } from '../parts/Dialogue';
import { MergePatients } from '../parts/MergePatients';
import { MergeStudy } from '../parts/Move';
import { Rejected } from '../parts/Rejected';
import { RunCard } from '../parts/RunCard';
import { SeriesCard } from '../parts/SeriesCard';
import { Timeline } from '../parts/Timeline';
import { Link, navigate } from '../router';

export function StudyPage({ uid }: { uid: string }) {
  const study = useResource(`study ${uid}`, signal => api.study(uid, signal), ['studies'], uid);
  const runs = useResource(`runs ${uid}`, signal => api.runs([uid], signal), ['runs'], uid);
  // Notices of deliveries and patients may name no study.
  const deliveries = useResource(`deliveries ${uid}`, signal => api.deliveries([uid], signal), ['deliveries', 'patients'], uid);
  const patient = useResource(`patient ${uid}`, signal => api.patientStates([uid], signal), ['patients'], uid);
  // The tab's title shows in histories and screen shares: no patient in it.
  useTitle('Study');
  const may = useMay();

  if (study.error && !study.data) {
    const gone = study.error instanceof ApiError && study.error.status === 404;
    if (!gone) return <Failure error={study.error} retry={study.reload} />;
    return <Empty title="There is no such study"><p>It was removed, or the address is wrong. <Link href="/">Go to the worklist</Link></p></Empty>;
  }
  if (!study.data) return <Loading lines={8} label="Loading the study" />;

  const found = study.data;
  const manages = may('correct-studies') || may('delete-images') || found.holds.length > 0 || found.keep_until || found.expires_at;
  const results = new Set(runs.data?.flatMap(run => run.result_instances.map(one => one.series_uid)));
  const state = patient.data?.[0];
  return (
    <>
      <Banner study={study.data} runs={runs.data ?? []} />
      {state?.state === 'conflict' && (
        <Notice tone="bad" title="This patient's data contradict each other">
          <p>Results of this study are not delivered until a person decides. <Link href="/conflicts">Decide now</Link></p>
        </Notice>
      )}
      {state?.state === 'no-patient-id' && (
        <Notice tone="warn" title="The images name no Patient ID"><p>The study can't be matched with other studies of the same person.</p></Notice>
      )}

      <section aria-labelledby="runs">
        <h2 id="runs">AI results</h2>
        {runs.error && <Failure error={runs.error} retry={runs.reload} />}
        {!runs.data && !runs.error && <Loading lines={3} />}
        {runs.data && <Waiting study={study.data} ran={runs.data.length > 0} />}
        {runs.data?.map(run => (
          <RunCard key={run.id} run={run} series={study.data?.series.find(one => one.series_uid === run.series_uid)} changed={runs.reload} />
        ))}
        <Announce text={runs.data?.[0] ? `${runs.data[0].model.title}: ${runs.data[0].state}` : ''} />
      </section>

      <section aria-labelledby="deliveries">
        <h2 id="deliveries">Deliveries</h2>
        {deliveries.error && <Failure error={deliveries.error} retry={deliveries.reload} />}
        {!deliveries.data && !deliveries.error && <Loading lines={2} />}
        {deliveries.data && <Deliveries items={deliveries.data} changed={deliveries.reload} />}
      </section>

      <section aria-labelledby="timeline">
        <h2 id="timeline">Timeline</h2>
        <Timeline steps={timeline(study.data, runs.data ?? [], deliveries.data ?? [])} />
      </section>

      <section aria-labelledby="series">
        <h2 id="series">Series</h2>
        <Rejected study={study.data} />
        {study.data.series.map((series, _, all) => (
          <SeriesCard key={series.series_uid} study={found} series={series} ours={results.has(series.series_uid)} only={all.length === 1} changed={study.reload} />
        ))}
      </section>
      <section aria-labelledby="corrections">
        <h2 id="corrections">Corrections</h2>
        <Corrections study={study.data} changed={study.reload} />
      </section>

      {manages && (
        <section aria-labelledby="manage">
          <h2 id="manage">Manage</h2>
          {found.holds.map(hold => (
            <Notice key={hold.id} tone="warn" title={hold.study_uid ? 'A legal hold is on this study' : 'A legal hold is on this patient'}>
              <p>{hold.reason} (placed {moment(hold.placed_at)} by {hold.by}). Nothing of it is deleted until the hold is lifted.</p>
            </Notice>
          ))}
          {found.keep_until && <p className="second">A retention rule keeps this study until {moment(found.keep_until)}.</p>}
          {found.expires_at && found.holds.length === 0 && <p className="second">A retention rule deletes this study on {moment(found.expires_at)}.</p>}
          <div className="decisions">
            {may('correct-studies') && <MergeStudy study={found} />}
            {may('correct-studies') && <MergePatients study={found} done={study.reload} />}
            {may('delete-images') && (
              <Dialogue kind="danger" open="Delete study…" title="Delete this study"
                act={reason => api.deleteStudy(uid, reason)} done={() => navigate('/')}>
                <p>All {plural(found.instance_count, 'image')} and every result made from them are removed for good, and can't be brought back. Images of it that are sent again are refused.</p>
              </Dialogue>
            )}
          </div>
        </section>
      )}
      <p className="faint small">Study Instance UID <Uid value={uid} /></p>
    </>
  );
}

/** Why no model runs, or not yet. */
function Waiting({ study, ran }: { study: StudyDetail; ran: boolean }) {
  const receiving = seriesIn(study, 'receiving');
  const incomplete = seriesIn(study, 'incomplete');
  const images = receiving.reduce((sum, series) => sum + (series.input_sets.at(-1)?.instance_count ?? 0), 0);
  if (receiving.length > 0) {
    return (
      <Notice tone="busy" title="Images are being received">
        <p>{plural(images, 'image')} of {plural(receiving.length, 'series', 'series')} so far. Models run by themselves once a series is complete.</p>
      </Notice>
    );
  }
  if (incomplete.length > 0) {
    return (
      <Notice tone="warn" title={`${plural(incomplete.length, 'series is', 'series are')} incomplete`}>
        <p>No model runs on what is incomplete until the missing images come, or a person accepts it as it is, <a href="#series">below</a>.</p>
      </Notice>
    );
  }
  if (ran) return null;
  return (
    <p className="faint">
      No model has run on this study. A model runs by itself once a series that it selects is complete; <Link href="/models">which models select what</Link>.
    </p>
  );
}

function Banner({ study, runs }: { study: StudyDetail; runs: Run[] }) {
  const { patient } = study;
  const years = age(patient.birth_date, study.study_date);
  return (
    <header className="banner">
      <div className="banner-head">
        <div>
          <p className="crumb"><Link href="/">Worklist</Link></p>
          <h1>{patient.name || 'No name'}</h1>
          <p className="banner-study">
            {study.modalities.map(name => <span key={name} className="modality">{name}</span>)} {study.description || 'No description'}
          </p>
        </div>
        <Allowed to="retrieve-images"><a className="button primary large" href={viewerAddress(study.study_uid, runs)}>Open in viewer</a></Allowed>
      </div>
      <dl className="facts">
        <Fact name="Patient ID">{patient.id || '–'}{patient.issuer && <span className="second">{patient.issuer}</span>}</Fact>
        <Fact name="Birth date">{dicomDate(patient.birth_date) || '–'}{years !== undefined && <span className="second">{years} years at study</span>}</Fact>
        <Fact name="Sex">{sex(patient.sex) || '–'}</Fact>
        <Fact name="Study date">{dicomDate(study.study_date) || '–'} {dicomTime(study.study_time)}</Fact>
        <Fact name="Accession">{study.accession || '–'}</Fact>
        <Fact name="Images">{count(study.instance_count)}<span className="second">in {plural(study.series_count, 'series', 'series')}</span></Fact>
      </dl>
    </header>
  );
}
