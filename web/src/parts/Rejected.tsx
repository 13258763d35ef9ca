// How many images of a study rejection notes hide, and why.

import type { StudyDetail } from '../api/types';
import { plural } from '../lib/format';
import { rejection } from '../lib/rejection';

import { Notice } from '.';

export function Rejected({ study }: { study: StudyDetail }) {
  const all = study.rejected.reduce((sum, one) => sum + one.instances, 0);
  if (all === 0) return null;
  return (
    <Notice tone="warn" title={plural(all, 'image is hidden', 'images are hidden')}>
      <ul className="hidden-images">
        {study.rejected.map(({ code, instances }) => <li key={code}>{plural(instances, 'image')}: {rejection(code)}</li>)}
      </ul>
      <p>A rejection note in this study or another one says so. Hidden images are in no count, viewer, model or delivery. If a note is mistaken, delete its series (KO): the images that no other note names show again, unless they were deleted.</p>
    </Notice>
  );
}
