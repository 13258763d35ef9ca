import type { UnknownDevice } from '../api/access';

/** Who called, for people who have never heard of an AE title. */
export function called({ ae_title, address, certificate_sha256, count }: Pick<UnknownDevice, 'ae_title' | 'address' | 'certificate_sha256' | 'count'>): string {
  const times = count === 1 ? 'once' : count === 2 ? 'twice' : `${count.toLocaleString()} times`;
  return `A machine that calls itself ${ae_title || 'nothing'}${certificate_sha256 ? ', with a certificate of its own,' : ''} tried to reach Hilum from ${address} ${times}`;
}
