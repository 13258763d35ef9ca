// What makes a good password; the server decides which are taken.

export const PASSWORD_MIN = 12;

export function passwordAdvice(typed: string): string {
  const missing = PASSWORD_MIN - [...typed].length;
  if (typed === '') return `At least ${PASSWORD_MIN} characters. Four or five words that belong together only to you are easy to remember and hard to guess; signs and figures are not needed.`;
  if (missing > 0) return `${missing} more ${missing === 1 ? 'character' : 'characters'}. Another word does it.`;
  return 'Long enough.';
}
