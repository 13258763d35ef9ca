/** Where images are sent to: the address that Hilum listens on, as this page reaches
 *  it. One that stands for every interface is reached under the page's own name. */
export function receiver(address: string, pageHost: string): [host: string, port: string] {
  const at = address.lastIndexOf(':');
  const host = address.slice(0, Math.max(0, at));
  return [['', '0.0.0.0', '[::]'].includes(host) ? pageHost : host, address.slice(at + 1)];
}
