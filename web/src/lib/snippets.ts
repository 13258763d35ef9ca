// Settings of other programs, to be copied into them.

export interface Receiver {
  aeTitle: string;
  host: string;
  port: string;
  /** DICOM goes over TLS. */
  tls: boolean;
  /** `https://hilum.example`, without a slash at its end. */
  origin: string;
}

/** Stands in a snippet until there is a key. */
export const KEY_MISSING = 'YOUR-KEY';

/** Stands in a snippet for the file (PEM) with the authorities of the server's certificate. */
export const AUTHORITIES = 'AUTHORITIES.pem';

/** dcmtk's dcmsend: every image of a folder and of those below it, whatever the files are called and however they are
 *  encoded, past what is no image. It speaks no TLS: storescu does, and stops at the first file that is no image. */
export const dcmtk = ({ aeTitle, host, port, tls }: Receiver): string =>
  (tls
    ? `storescu +tla +cf ${AUTHORITIES} -R -aec ${aeTitle} ${host} ${port} +sd +r FOLDER`
    : `dcmsend -nh -aec ${aeTitle} ${host} ${port} +sd +r FOLDER`);

/** dcm4che's storescu: a folder with everything in it. Its own choice of ciphers is older than what is agreed on. */
export const dcm4che = ({ aeTitle, host, port, tls }: Receiver): string => [
  'storescu',
  ...(tls ? [
    '--tls-protocol TLSv1.2 --tls-cipher TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256',
    '--trust-store AUTHORITIES.p12 --trust-store-type PKCS12 --trust-store-pass PASSWORD',
  ] : []),
  `-c ${aeTitle}@${host}:${port} FOLDER`,
].join(' ');

/** Orthanc's configuration: Hilum by DICOM and by DICOMweb. */
export const orthanc = ({ aeTitle, host, port, tls, origin }: Receiver, key: string): string => JSON.stringify({
  ...(tls && { DicomTlsCertificate: 'orthanc.crt', DicomTlsPrivateKey: 'orthanc.key', DicomTlsTrustedCertificates: AUTHORITIES }),
  DicomModalities: { hilum: tls ? { AET: aeTitle, Host: host, Port: Number(port), UseDicomTls: true } : [aeTitle, host, Number(port)] },
  DicomWeb: { Servers: { hilum: { Url: `${origin}/dicomweb/`, HttpHeaders: { Authorization: `Bearer ${key}` } } } },
}, undefined, 2).replace(/\[\s+("[^"]*"),\s+("[^"]*"),\s+(\d+)\s+\]/, '[$1, $2, $3]');

/** STOW-RS (PS3.18 §10.5) with curl, which adds the boundary. */
export const curl = ({ origin }: Receiver, key: string): string => [
  `curl ${origin}/dicomweb/studies \\`,
  `  -H 'Authorization: Bearer ${key}' \\`,
  `  -H 'Content-Type: multipart/related; type="application/dicom"' \\`,
  `  -F 'image=@image.dcm;type=application/dicom'`,
].join('\n');
