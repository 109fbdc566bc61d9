const MOST_CHARACTERS = 300;

/**
 * A failure's message as a log may have it: one line, bounded, and without the piece of the text that JSON.parse puts into its
 * messages (`Unexpected token 'x', "..." is not valid JSON`), which may be a piece of a memory.
 */
export function printableReason(reason: string): string {
  const oneLine = reason.replaceAll(/\s+/g, ' ');
  const withoutText = oneLine.replace(/Unexpected token .*? is not valid JSON/, 'the text is not valid JSON');
  return withoutText.length > MOST_CHARACTERS ? `${withoutText.slice(0, MOST_CHARACTERS)}…` : withoutText;
}
