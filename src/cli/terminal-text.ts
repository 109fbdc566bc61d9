/**
 * Characters that change how a terminal shows other text: C1 controls, direction marks and overrides, and the separators of lines and
 * paragraphs. Names that agents choose may contain them. In JSON they occur only in strings, where the escape means the same.
 */
const MISLEADING = /[\u0080-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/** The text with misleading characters replaced by escapes, such as \u202e. */
export function terminalText(text: string): string {
  return text.replaceAll(MISLEADING, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Applies {@link terminalText} to every text that is written to the stream from now on. */
export function escapeOutput(stream: NodeJS.WriteStream): void {
  const write = stream.write.bind(stream) as (...args: unknown[]) => boolean;
  stream.write = ((chunk: unknown, ...rest: unknown[]) =>
    write(typeof chunk === 'string' ? terminalText(chunk) : chunk, ...rest)) as NodeJS.WriteStream['write'];
}
