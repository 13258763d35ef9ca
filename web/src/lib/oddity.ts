// What is odd about images that were stored all the same, for people.

const TEXTS: Record<string, string> = {
  'no-preamble': 'File without a preamble',
  'no-meta': 'File without meta information; its encoding was guessed',
  'encoding-mismatch': 'Not encoded as its transfer syntax says',
  'meta-mismatch': 'File meta information names another UID',
  'wrong-vr': 'Unexpected value representation',
  'invalid-vr': 'Invalid value representation',
  'odd-length': 'Value of an odd or impossible length',
  missing: 'Required attribute is missing',
  empty: 'Required attribute is empty',
  'undecodable-text': 'Text that its character set does not explain',
  'undeclared-character-set': 'Text without a declared character set',
  'unknown-character-set': 'Unknown character set',
  'invalid-number': 'Not a number where one belongs',
  'invalid-uid': 'UID of an unusual form',
  'out-of-order': 'Attributes out of order',
  duplicate: 'Attribute that occurs twice',
  'forbidden-group': 'Attribute of a group that data sets cannot hold',
  'stray-delimiter': 'Stray or missing delimiter',
  'trailing-bytes': 'Bytes behind the last attribute',
  'pixel-surplus': 'More pixel data than the image needs',
  'pixel-shortage': 'Less pixel data than the image needs',
  'frames-unknown': 'Frames that cannot be told apart',
  'wrong-offset-table': 'Offset table that contradicts the pixel data',
  more: 'More than is listed',
};

/** `wrong-vr:00280106` as a sentence: what is odd, and at which attribute. */
export function oddity(code: string): string {
  const [kind = '', tag] = code.split(':');
  const text = TEXTS[kind] ?? kind;
  return tag ? `${text} (${tag.slice(0, 4)},${tag.slice(4)})` : text;
}
