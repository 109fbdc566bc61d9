/** A number of the command line. @throws Error that names the option */
export function wholeNumber(name: string, text: string, least: number): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isSafeInteger(value) || value < least)
    throw new Error(`--${name} takes a whole number of at least ${least}, got "${text}"`);
  return value;
}

/** `a,b`; none where nothing is given. */
export function namesIn(text: string): readonly string[] {
  return text.split(',').filter((name) => name !== '');
}
