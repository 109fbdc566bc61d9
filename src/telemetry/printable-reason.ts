const MOST_CHARACTERS = 300;

/**
 * A failure's message in a form that may be logged: one line, bounded, and without the quoted text of JSON.parse
 * (`Unexpected token 'x', "..." is not valid JSON`), which may be part of a memory.
 */
export function printableReason(reason: string): string {
  const oneLine = reason.replaceAll(/\s+/g, ' ');
  const withoutText = oneLine.replace(/Unexpected token .*? is not valid JSON/, 'the text is not valid JSON');
  return withoutText.length > MOST_CHARACTERS ? `${withoutText.slice(0, MOST_CHARACTERS)}…` : withoutText;
}
