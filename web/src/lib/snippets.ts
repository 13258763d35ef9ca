// Settings of other programs, to be copied into them.

export interface Receiver {
  aeTitle: string;
  host: string;
  port: string;
  /** `https://hilum.example`, without a slash at its end. */
  origin: string;
}

/** Stands in a snippet until there is a key. */
export const KEY_MISSING = 'YOUR-KEY';

/** dcmtk's storescu: every file of a folder. */
export const dcmtk = ({ aeTitle, host, port }: Receiver): string => `storescu -aec ${aeTitle} ${host} ${port} *.dcm`;

/** dcm4che's storescu: a folder with everything in it. */
export const dcm4che = ({ aeTitle, host, port }: Receiver): string => `storescu -c ${aeTitle}@${host}:${port} FOLDER`;

/** Orthanc's configuration: Hilum by DICOM and by DICOMweb. */
export const orthanc = ({ aeTitle, host, port, origin }: Receiver, key: string): string => JSON.stringify({
  DicomModalities: { hilum: [aeTitle, host, Number(port)] },
  DicomWeb: { Servers: { hilum: { Url: `${origin}/dicomweb/`, HttpHeaders: { Authorization: `Bearer ${key}` } } } },
}, undefined, 2).replace(/\[\s+("[^"]*"),\s+("[^"]*"),\s+(\d+)\s+\]/, '[$1, $2, $3]');

/** STOW-RS (PS3.18 §10.5) with curl, which adds the boundary. */
export const curl = ({ origin }: Receiver, key: string): string => [
  `curl ${origin}/dicomweb/studies \\`,
  `  -H 'Authorization: Bearer ${key}' \\`,
  `  -H 'Content-Type: multipart/related; type="application/dicom"' \\`,
  `  -F 'image=@image.dcm;type=application/dicom'`,
].join('\n');
