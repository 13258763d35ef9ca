// What shows only to whom the server lets do it.

import type { ReactNode } from 'react';

import type { Action } from '../api/access';
import { useMay } from '../api/session';

export function Allowed({ to, children }: { to: Action; children: ReactNode }) {
  return useMay()(to) ? <>{children}</> : null;
}
