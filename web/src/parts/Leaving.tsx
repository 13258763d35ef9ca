// How an organisation takes out everything that it owns, and how it ends.

import { useState } from 'react';

import { admin } from '../api/admin';
import { startAfresh } from '../api/session';
import { Modal } from './Dialogue';
import { TextField } from './fields';

/** Gives the certificate to the person: nobody of the organisation can ask for it again. */
async function end(tenant: string) {
  const certificate = await admin.endTenant(tenant);
  const file = new Blob([`${JSON.stringify(certificate)}\n`], { type: 'application/json' });
  const link = document.createElement('a');
  link.href = URL.createObjectURL(file);
  link.download = `end-of-${tenant}.json`;
  link.click();
  URL.revokeObjectURL(link.href);
}

export function Leaving({ tenant, name }: { tenant: string; name: string }) {
  const [typed, setTyped] = useState('');
  return (
    <section aria-labelledby="leaving">
      <h2 id="leaving">Leaving</h2>
      <p className="lead">
        The records hold everything that the organisation owns beside its images: people and settings without secrets, patients, corrections, runs,
        deliveries. The audit trail is exported under Audit trail. Who runs this Hilum exports everything in one go, images with a DICOMDIR
        included: <code>hilum tenants export {tenant} FOLDER</code>. What was exported is in the clear.
      </p>
      <p><a className="button" href={admin.records} download>Download the records</a></p>
      <p className="after">
        <Modal open="End this organisation…" title={`End ${name}`} submit="End it for good" kind="danger" disabled={typed !== tenant}
          act={() => end(tenant)} done={() => startAfresh()}>
          <p>
            Everybody is signed out at once, and devices and programs are turned away. Everything is destroyed: images, results, patients, people,
            settings. <strong>Nothing brings it back.</strong> Legal holds refuse it. You get a certificate as a file; keep it.
          </p>
          <TextField label={`Type its short name, ${tenant}, to end it`} required autoComplete="off" value={typed} change={setTyped} />
        </Modal>
      </p>
    </section>
  );
}
