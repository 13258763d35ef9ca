import { expect, test } from 'vitest';

import { curl, dcm4che, dcmtk, orthanc } from './snippets';

const hilum = { aeTitle: 'ST_MARY', host: '10.0.0.5', port: '11112', tls: false, origin: 'https://hilum.example' };

test('other programs are told the AE title, the address and the key', () => {
  expect(dcmtk(hilum)).toBe('dcmsend -nh -aec ST_MARY 10.0.0.5 11112 +sd +r FOLDER');
  expect(dcm4che(hilum)).toBe('storescu -c ST_MARY@10.0.0.5:11112 FOLDER');
  const settings = JSON.parse(orthanc(hilum, 'hk_1_2'));
  expect(settings.DicomModalities.hilum).toEqual(['ST_MARY', '10.0.0.5', 11112]);
  expect(settings.DicomWeb.Servers.hilum).toEqual({ Url: 'https://hilum.example/dicomweb/', HttpHeaders: { Authorization: 'Bearer hk_1_2' } });
  expect(orthanc(hilum, 'hk_1_2')).toContain('["ST_MARY", "10.0.0.5", 11112]');
  expect(curl(hilum, 'hk_1_2')).toMatch(/^curl https:\/\/hilum.example\/dicomweb\/studies /);
});

test('where DICOM goes over TLS they are told so', () => {
  const secure = { ...hilum, tls: true };
  expect(dcmtk(secure)).toMatch(/^storescu \+tla \+cf AUTHORITIES\.pem .*-aec ST_MARY 10\.0\.0\.5 11112 /);
  expect(dcm4che(secure)).toMatch(/--tls-cipher TLS_ECDHE_\S+GCM.* -c ST_MARY@10\.0\.0\.5:11112 FOLDER$/);
  const settings = JSON.parse(orthanc(secure, 'hk_1_2'));
  expect(settings.DicomModalities.hilum).toEqual({ AET: 'ST_MARY', Host: '10.0.0.5', Port: 11112, UseDicomTls: true });
  expect(settings.DicomTlsTrustedCertificates).toBe('AUTHORITIES.pem');
});
