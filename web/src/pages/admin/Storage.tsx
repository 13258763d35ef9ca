// What is kept, how much room it takes, and what left.

import { admin } from '../../api/admin';
import { api } from '../../api/client';
import { useMay } from '../../api/session';
import { useResource } from '../../api/useResource';
import { Failure, Loading, useTitle } from '../../parts';
import { ArchiveCard } from '../../parts/ArchiveCard';
import { ArchiveRules } from '../../parts/ArchiveRules';
import { Departures } from '../../parts/Departures';

export function StoragePage() {
  useTitle('Storage');
  const may = useMay();
  const { data, error, reload } = useResource('storage', api.storage, ['studies', 'quarantine']);
  const settings = useResource(may('view-settings') ? 'settings' : undefined, admin.settings, ['administration']);
  return (
    <>
      <div className="page-head"><h1>Storage</h1></div>
      <p className="lead">How much of this organisation's room is taken, and how long studies are kept.</p>
      {error && <Failure error={error} retry={reload} />}
      {!data && !error && <Loading lines={2} />}
      {data && <ArchiveCard storage={data} />}
      {settings.data && may('manage-settings') && <div className="after"><ArchiveRules settings={settings.data} done={() => { reload(); settings.reload(); }} /></div>}
      {may('view-erasures') && <Departures />}
    </>
  );
}
