import pino, { type LevelWithSilent, type Logger } from 'pino';

export interface LogOptions {
  readonly level: LevelWithSilent;
  /** Readable lines instead of JSON, for a terminal. Slower; formatted in a worker thread. */
  readonly pretty: boolean;
  /** The `name` of every line. */
  readonly name: string;
}

/** JSON lines on the standard output. */
export function createLog({ level, pretty, name }: LogOptions): Logger {
  const options = {
    level,
    name,
    timestamp: pino.stdTimeFunctions.isoTime,
    serializers: { err: printableError },
  };
  if (!pretty) return pino(options);
  const looks = { translateTime: 'SYS:HH:MM:ss.l', ignore: 'pid,hostname', singleLine: true };
  return pino(options, pino.transport({ target: 'pino-pretty', options: looks }));
}

// pino's own serializer copies every member of an error, and a database error contains rows and parameters.
function printableError(error: unknown): object {
  if (!(error instanceof Error)) return { message: String(error) };
  const { name: type, message, stack } = error;
  return { type, message, ...('code' in error && { code: error.code }), stack };
}
