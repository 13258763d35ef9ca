// What to do when there is nothing yet.

import { api } from '../api/client';
import { useResource } from '../api/useResource';

export function FirstStudy() {
  const status = useResource('status', api.status, []);
  const title = status.data?.ae_title || 'HILUM';
  const [host, port] = receiver(status.data?.dicom_address, location.hostname);
  return (
    <div className="empty first">
      <h2>Ready for the first study</h2>
      <p>Send images from a scanner, a PACS or this terminal. They appear here as they arrive, and the model runs by itself once a series is complete.</p>
      <dl className="facts">
        <div className="fact"><dt>AE title</dt><dd>{title}</dd></div>
        <div className="fact"><dt>Host</dt><dd>{host}</dd></div>
        <div className="fact"><dt>Port</dt><dd>{port}</dd></div>
        <div className="fact"><dt>DICOMweb</dt><dd>{`${location.origin}/dicomweb`}</dd></div>
      </dl>
      <p>With dcmtk, from a folder with images:</p>
      <pre><code>{`storescu -aec ${title} ${host} ${port} *.dcm`}</code></pre>
    </div>
  );
}

/** Where images are sent to: `0.0.0.0:11112` is reached under the page's own name. */
export function receiver(address: string | null | undefined, pageHost: string): [host: string, port: string] {
  const at = address?.lastIndexOf(':') ?? -1;
  const port = address && at >= 0 ? address.slice(at + 1) : '11112';
  const host = address && at > 0 ? address.slice(0, at) : '127.0.0.1';
  return [['0.0.0.0', '[::]'].includes(host) ? pageHost : host, port];
}
