/** First line of a spill file. */
export interface SpillHeader {
  /** The id of the spill, kept when the file is replaced. */
  readonly id: string;
  /** The number of the last record before this file. */
  readonly after: number;
}

const FORMAT = 'crossfade-spill';
const VERSION = 1;
/** Limit of the first line. */
const LONGEST_BYTES = 256;

export function encodeHeader({ id, after }: SpillHeader): Buffer {
  return Buffer.from(`${JSON.stringify({ format: FORMAT, version: VERSION, id, after })}\n`);
}

export interface ReadHeader {
  readonly header: SpillHeader;
  readonly bytes: number;
}

/** @throws Error if the file is not a spill of this version. It may contain acknowledged writes, so nothing is changed */
export function decodeHeader(start: Buffer, file: string): ReadHeader {
  const end = start.subarray(0, LONGEST_BYTES).indexOf('\n');
  const facts = end < 0 ? undefined : parsed(start.subarray(0, end).toString('utf8'));
  if (facts?.['format'] !== FORMAT)
    throw new Error(
      `${file} is not a spill of Crossfade, or its first line is damaged. It may contain acknowledged writes: keep a copy, ` +
        'then move it away and start again. Every lane is then copied again',
    );
  if (facts['version'] !== VERSION)
    throw new Error(
      `${file} is a spill of format version ${String(facts['version'])}, but this program uses version ${VERSION}. It may contain ` +
        'acknowledged writes: first run the program version that wrote it until its status shows no spilled writes',
    );
  const { id, after } = facts;
  if (typeof id !== 'string' || typeof after !== 'number')
    throw new Error(`${file} has an incomplete first line: keep a copy, then move it away`);
  return { header: { id, after }, bytes: end + 1 };
}

function parsed(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
