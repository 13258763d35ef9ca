// Which machines may send images, and which tried to.

import { useState } from 'react';

import type { Device } from '../../api/access';
import { type DeviceChange, admin } from '../../api/admin';
import { useMay } from '../../api/session';
import { usePages } from '../../api/usePages';
import { moment } from '../../lib/format';
import { Badge, Empty, Failure, Loading, useTitle } from '../../parts';
import { Modal } from '../../parts/Dialogue';
import { More } from '../../parts/More';
import { UnknownDevices } from '../../parts/UnknownDevices';
import { TextField } from '../../parts/fields';

export function Devices() {
  useTitle('Devices');
  const may = useMay();
  const devices = usePages('devices', (after, signal) => admin.devices(after, signal));
  return (
    <>
      <div className="page-head"><h1>Devices</h1>{may('manage-devices') && <Edit open="Add a device…" title="Add a device" act={admin.addDevice} done={devices.reload} />}</div>
      <p className="lead">Scanners, PACS and other machines that send images over the network. Each says a short name when it calls, its <em>AE title</em>; Hilum takes images only from those listed here, and from programs on its own machine where the settings say so.</p>
      <UnknownDevices admitted={devices.reload} />
      <section aria-labelledby="known" className="first">
        <h2 id="known">Admitted</h2>
        {devices.error && <Failure error={devices.error} retry={devices.reload} />}
        {!devices.items && !devices.error && <Loading lines={3} />}
        {devices.items?.length === 0 && (
          <Empty title="No device yet"><p>Let the machine send something. It is turned away the first time and shows here, where you admit it with one press. Or add it by hand, if you know its AE title and address.</p></Empty>
        )}
        {devices.items && devices.items.length > 0 && (
          <div className="sheet">
            <table className="rows">
              <thead><tr><th scope="col">AE title</th><th scope="col">Calls from</th><th scope="col">Last called</th><th scope="col"><span className="unseen">What to do</span></th></tr></thead>
              <tbody>{devices.items.map(one => <DeviceRow key={one.id} device={one} changed={devices.reload} />)}</tbody>
            </table>
          </div>
        )}
        <More pages={devices} />
      </section>
    </>
  );
}

function DeviceRow({ device, changed }: { device: Device; changed: () => void }) {
  const may = useMay();
  return (
    <tr>
      <td><span className="named">{device.ae_title}</span>{device.configured && <> <Badge tone="quiet" title="Named in the configuration file, and changed there">From the configuration</Badge></>}</td>
      <td data-label="Calls from">
        {device.address || 'Any address'}
        {device.certificate_sha256 && <span className="second">with its certificate</span>}
      </td>
      <td data-label="Last called">{device.seen_at ? <>{moment(device.seen_at)}{device.seen_from && <span className="second">from {device.seen_from}</span>}</> : <span className="faint">Never</span>}</td>
      <td className="row-actions">
        {may('manage-devices') && !device.configured && (
          <>
            <Edit open="Change…" title={`Change ${device.ae_title}`} device={device} act={({ ae_title: _, ...change }) => admin.changeDevice(device.id, change)} done={changed} />
            <Modal kind="danger" open="Remove…" title={`Remove ${device.ae_title}`} submit="Remove" act={() => admin.removeDevice(device.id)} done={changed}>
              <p>No more images are taken from it. Those that came stay.</p>
            </Modal>
          </>
        )}
      </td>
    </tr>
  );
}

function Edit({ open, title, device, act, done }: {
  open: string; title: string; device?: Device; act: (change: DeviceChange & { ae_title: string }) => Promise<unknown>; done: () => void;
}) {
  const first = () => ({
    ae: device?.ae_title ?? '', address: device?.address ?? '', certificate: device?.certificate_sha256 ?? '',
    issuer: device?.issuer ?? '', quiet: device?.quiet_seconds?.toString() ?? '', charset: device?.fallback_charset ?? '',
  });
  const [set, setSet] = useState(first);
  const put = (name: keyof typeof set) => (value: string) => setSet({ ...set, [name]: value });
  const change = (): DeviceChange => ({
    address: set.address.trim() || null,
    certificate_sha256: set.certificate.trim() || null,
    issuer: set.issuer.trim() || null,
    quiet_seconds: set.quiet.trim() ? Number(set.quiet) : null,
    fallback_charset: set.charset.trim() || null,
  });
  return (
    <Modal open={open} title={title} submit={device ? 'Save' : 'Add'} opened={() => setSet(first())} act={() => act({ ...change(), ae_title: set.ae.trim() })} done={done} kind={device ? '' : 'primary'}>
      {!device && <TextField label="AE title" hint="The name that the machine calls itself, as its own settings say. Capitals matter." required maxLength={16} autoComplete="off" spellCheck={false} value={set.ae} change={put('ae')} />}
      <TextField label="Address" hint="10.0.0.7, or a network such as 10.0.0.0/24. A name alone can be forged: give an address or a certificate." maxLength={50} autoComplete="off" spellCheck={false} value={set.address} change={put('address')} />
      <details>
        <summary>More</summary>
        <div className="entries">
          <TextField label="Certificate" hint="SHA-256 fingerprint of the certificate that it shows over TLS." maxLength={100} autoComplete="off" spellCheck={false} value={set.certificate} change={put('certificate')} />
          <TextField label="Issuer of Patient ID" hint="Who gave the patient numbers that it sends, where its images do not say." maxLength={64} autoComplete="off" value={set.issuer} change={put('issuer')} />
          <TextField label="Quiet time in seconds" hint="How long nothing more may come before a series counts as complete. Empty: as for every device." inputMode="decimal" pattern="[0-9]+([.][0-9]+)?" maxLength={8} autoComplete="off" value={set.quiet} change={put('quiet')} />
          <TextField label="Character set" hint="Of images that name none, such as ISO_IR 100." maxLength={64} autoComplete="off" spellCheck={false} value={set.charset} change={put('charset')} />
        </div>
      </details>
    </Modal>
  );
}
