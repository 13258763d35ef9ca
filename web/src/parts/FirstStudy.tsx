// What to do when there is nothing yet.

import { api } from '../api/client';
import { useResource } from '../api/useResource';
import { receiver } from '../lib/receiver';

import { Failure, Loading } from '.';

export function FirstStudy() {
  const status = useResource('status', api.status, []);
  if (!status.data) return status.error ? <Failure error={status.error} retry={status.reload} /> : <Loading lines={4} />;
  const title = status.data.ae_title;
  const [host, port] = receiver(status.data.dicom_address, location.hostname);
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
