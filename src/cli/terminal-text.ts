/**
 * Characters that change how a terminal shows other text: C1 controls, marks and overrides of direction, and the separators of lines
 * and paragraphs. Names that agents choose may hold them. In JSON they occur in strings alone, and the escape means the same there.
 */
const MISLEADING = /[\u0080-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/** The text as it can be shown: what misleads is written as an escape, such as \u202e. */
export function terminalText(text: string): string {
  return text.replaceAll(MISLEADING, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** From now on, what is written to the stream as text is shown as {@link terminalText}. */
export function escapeOutput(stream: NodeJS.WriteStream): void {
  const write = stream.write.bind(stream) as (...args: unknown[]) => boolean;
  stream.write = ((chunk: unknown, ...rest: unknown[]) =>
    write(typeof chunk === 'string' ? terminalText(chunk) : chunk, ...rest)) as NodeJS.WriteStream['write'];
}
