// Why rejection notes hide images, for people (IHE IOCM; CID 7011).

const TEXTS: Record<string, string> = {
  '113001': 'rejected for their quality. Software that asks for one by its own address still gets it.',
  '113037': 'rejected for the safety of the patient.',
  '113038': 'taken with the wrong worklist entry: of another patient, or for another request.',
  '113039': 'kept long enough. They are deleted for good as soon as no retention rule and no legal hold keeps them.',
};

/** A note's title (DCM) as what is said after the number of images. */
export const rejection = (code: string): string => TEXTS[code] ?? `rejected (${code}).`;
