// What to do when there is nothing yet: how to send the first study, from
// whatever there is. The worklist replaces it by itself once an image is there.

import { useState } from 'react';

import { admin } from '../api/admin';
import { api } from '../api/client';
import { useAuth, useMay } from '../api/session';
import { useResource } from '../api/useResource';
import { expiresAt } from '../lib/expiry';
import { receiver } from '../lib/receiver';
import { AUTHORITIES, KEY_MISSING, type Receiver, curl, dcm4che, dcmtk, orthanc } from '../lib/snippets';

import { Action, Fact, Failure, Loading } from '.';
import { Copyable } from './Copy';
import { UnknownDevices } from './UnknownDevices';

export function FirstStudy() {
  const may = useMay();
  if (may('store-images') || may('manage-devices')) return <HowToSend />;
  return (
    <div className="empty first">
      <h2>No study yet</h2>
      <p>Studies show here by themselves as soon as somebody sends images in.</p>
    </div>
  );
}

const TOOLS = ['dcmtk', 'dcm4che', 'Orthanc', 'curl'] as const;
type Tool = (typeof TOOLS)[number];

function HowToSend() {
  const { tenant } = useAuth();
  const may = useMay();
  const status = useResource('status', api.status, []);
  const [tool, setTool] = useState<Tool>('dcmtk');
  const [key, setKey] = useState('');
  if (!status.data) return status.error ? <Failure error={status.error} retry={status.reload} /> : <Loading lines={4} />;
  const [host, port] = receiver(status.data.dicom_address, location.hostname);
  const to: Receiver = { aeTitle: tenant?.ae_title ?? status.data.ae_title, host, port, tls: status.data.dicom_tls, origin: location.origin };
  const makeKey = async () => setKey((await admin.makeKey({
    name: 'First study', role: 'integration', expires_at: expiresAt('90', Date.now()), limited_to: null,
  })).key);
  return (
    <div className="empty first">
      <h2>Send your first study</h2>
      <p>From a scanner, a PACS or this machine: give it these values. The study shows here as it arrives, and models run by themselves once a series is complete.</p>
      <dl className="facts">
        <Fact name="AE title"><span data-testid="ae-title">{to.aeTitle}</span></Fact>
        <Fact name="Host">{host}</Fact>
        <Fact name="Port">{port}{to.tls && ', over TLS'}</Fact>
        <Fact name="DICOMweb">{`${to.origin}/dicomweb`}</Fact>
      </dl>
      <UnknownDevices admitted={() => {}} />
      <div className="how">
        <div className="segments" role="group" aria-label="Send with">
          {TOOLS.map(name => <button key={name} type="button" aria-pressed={tool === name} onClick={() => setTool(name)}>{name}</button>)}
        </div>
        <Snippet tool={tool} to={to} secret={key || KEY_MISSING} />
        {(tool === 'Orthanc' || tool === 'curl') && (key
          ? <p className="hint">The key in it is made for this and not shown again once you leave this page. It ends in 90 days.</p>
          : may('manage-keys') ? <p><Action kind="primary" act={makeKey} done={() => {}}>Make a key for this</Action></p>
          : <p className="hint">An administrator makes the key that belongs in the place of {KEY_MISSING}.</p>)}
        {to.tls && tool !== 'curl' && (
          <p className="hint">
            {tool === 'dcm4che' ? 'AUTHORITIES.p12' : AUTHORITIES} holds the authorities of Hilum's certificate, or that certificate itself.
            A certificate that came with a program is everybody's: give each machine one of its own.
          </p>
        )}
        {tool !== 'curl' && may('manage-devices') && (
          <p className="hint">The first time, a machine that Hilum does not know is turned away. It shows here then: admit it, and send again.</p>
        )}
      </div>
    </div>
  );
}

function Snippet({ tool, to, secret }: { tool: Tool; to: Receiver; secret: string }) {
  switch (tool) {
    case 'dcmtk': return <><p>In a terminal, with the folder that holds the images:</p><Copyable text={dcmtk(to)} label="the command of dcmtk" /></>;
    case 'dcm4che': return <><p>In a terminal, with the folder that holds the images:</p><Copyable text={dcm4che(to)} label="the command of dcm4che" /></>;
    case 'Orthanc': return <><p>Into Orthanc's configuration, in the place of sections of the same name; then start Orthanc again and send a study to <em>hilum</em>:</p><Copyable multiline text={orthanc(to, secret)} label="the settings of Orthanc" /></>;
    case 'curl': return <><p>In a terminal, over the web (DICOMweb), with an image <em>image.dcm</em>:</p><Copyable multiline text={curl(to, secret)} label="the command of curl" /></>;
  }
}
