/** A browser's own name (User-Agent, RFC 9110 §10.1.5) for people; anything else as it came. */
export function browser(agent: string): string {
  // The order matters: later ones are named by earlier ones too.
  const program = [
    [/\bEdg\//, 'Edge'], [/\bOPR\//, 'Opera'], [/\bFirefox\//, 'Firefox'], [/\bHeadlessChrome\//, 'Chrome'],
    [/\bChrome\//, 'Chrome'], [/\bSafari\//, 'Safari'], [/^curl\//, 'curl'],
  ].find(([pattern]) => (pattern as RegExp).test(agent))?.[1] as string | undefined;
  const system = [
    [/\bAndroid\b/, 'Android'], [/\b(iPhone|iPad)\b/, 'iOS'], [/\bWindows\b/, 'Windows'], [/\bMac OS X\b/, 'macOS'], [/\bLinux\b/, 'Linux'],
  ].find(([pattern]) => (pattern as RegExp).test(agent))?.[1] as string | undefined;
  if (!program) return agent || 'Unknown browser';
  return system ? `${program} on ${system}` : program;
}
