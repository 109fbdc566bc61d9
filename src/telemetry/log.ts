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

/** Reports a problem of an edge (flags, a frontend, a legacy service). `problem` is one of a closed set of words; `detail` is free text. */
export type OnProblem = (service: string, problem: string, detail: string) => void;

/** Logs problems of the edges. They can occur with every request, so they are aggregated by service and problem. */
export function createProblemLog(log: Logger): OnProblem {
  const quiet = new QuietLog();
  return (service, problem, detail) => {
    const facts = { service, problem, detail: printableReason(detail) };
    const message = `problem of ${service}: ${problem.replaceAll('_', ' ')}`;
    quiet.add(`${service} ${problem}`, facts, (said) => log.warn(said, message));
  };
}

const QUIET_MS = 5_000;

interface Line {
  readonly say: (facts: object) => void;
  newest: object;
  count: number;
  timer: NodeJS.Timeout | undefined;
}

/**
 * For events that can occur with every request. It logs the first event of a key at once, and then at most one line per 5 s. The line
 * shows the newest event, with the number of events since the last line.
 */
export class QuietLog {
  readonly #lines = new Map<string, Line>();

  add(key: string, facts: object, say: (facts: object) => void): void {
    const line = this.#lines.get(key) ?? { say, newest: facts, count: 0, timer: undefined };
    line.newest = facts;
    line.count += 1;
    this.#lines.set(key, line);
    if (line.timer === undefined) this.#flush(key, line);
  }

  #flush(key: string, line: Line): void {
    line.timer = undefined;
    // No event for a while, so the key is removed and keys do not pile up.
    if (line.count === 0) {
      this.#lines.delete(key);
      return;
    }
    line.say({ ...line.newest, count: line.count });
    line.count = 0;
    // The timer must not keep the process alive.
    line.timer = setTimeout(() => this.#flush(key, line), QUIET_MS).unref();
  }
}

const MOST_CHARACTERS = 300;

/**
 * A failure's message in a form that may be logged: one line of limited length. The quoted text of JSON.parse
 * (`Unexpected token 'x', "..." is not valid JSON`) is removed, because it may be part of a memory.
 */
export function printableReason(reason: string): string {
  const oneLine = reason.replaceAll(/\s+/g, ' ');
  const withoutText = oneLine.replace(/Unexpected token .*? is not valid JSON/, 'the text is not valid JSON');
  return withoutText.length > MOST_CHARACTERS ? `${withoutText.slice(0, MOST_CHARACTERS)}…` : withoutText;
}
