/** First line of a spill file. */
export interface SpillHeader {
  /** The spill's, kept when the file begins anew. */
  readonly id: string;
  /** The number of the last record before this file. */
  readonly after: number;
}

const FORMAT = 'crossfade-spill';
const VERSION = 1;
/** The first line ends here at the latest. */
const LONGEST_BYTES = 256;

export function encodeHeader({ id, after }: SpillHeader): Buffer {
  return Buffer.from(`${JSON.stringify({ format: FORMAT, version: VERSION, id, after })}\n`);
}

export interface ReadHeader {
  readonly header: SpillHeader;
  readonly bytes: number;
}

/** @throws Error where the file is no spill, or that of another version: it may hold acknowledged writes, so nothing is touched */
export function decodeHeader(start: Buffer, file: string): ReadHeader {
  const end = start.subarray(0, LONGEST_BYTES).indexOf('\n');
  const facts = end < 0 ? undefined : parsed(start.subarray(0, end).toString('utf8'));
  if (facts?.['format'] !== FORMAT)
    throw new Error(
      `${file} is not a spill of Crossfade, or its beginning is damaged. It may hold acknowledged writes: keep a copy, ` +
        'then move it away and start again; every lane is then copied anew',
    );
  if (facts['version'] !== VERSION)
    throw new Error(
      `${file} is a spill of version ${String(facts['version'])}, this program writes version ${VERSION}. It may hold ` +
        'acknowledged writes: start the version that wrote it, until its status says that nothing is spilled, then this one',
    );
  const { id, after } = facts;
  if (typeof id !== 'string' || typeof after !== 'number')
    throw new Error(`${file} has a first line that is not whole: keep a copy, then move it away`);
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
