import type { Database, Session } from '../../storage/database.ts';
import type { DatabaseCircuit } from './database-circuit.ts';

/** A finished statement. Without its parameters, because they are content. */
export interface StatementFacts {
  readonly sql: string;
  readonly durationMs: number;
  readonly hasFailed: boolean;
}

export interface Watch {
  readonly circuit: DatabaseCircuit;
  readonly onStatement: (statement: StatementFacts) => void;
}

/** The same database with a circuit breaker and a listener for its statements. */
export function watchedDatabase(database: Database, watch: Watch): Database {
  const { circuit } = watch;
  const session = watchedSession(database, watch);
  return {
    kind: database.kind,
    query: (sql, params) => circuit.run(() => session.query(sql, params)),
    script: (sql) => circuit.run(() => session.script(sql)),
    transaction: (work) =>
      circuit.run(() => database.transaction((inner) => work(watchedSession(inner, watch)))),
    until: (atMs) => watchedDatabase(database.until(atMs), watch),
    load: () => database.load(),
    close: () => database.close(),
  };
}

function watchedSession(session: Session, { onStatement }: Watch): Session {
  async function timed<T>(sql: string, run: () => Promise<T>): Promise<T> {
    const startedMs = performance.now();
    let hasFailed = true;
    try {
      const result = await run();
      hasFailed = false;
      return result;
    } finally {
      onStatement({ sql, durationMs: performance.now() - startedMs, hasFailed });
    }
  }
  return {
    query: (sql, params) => timed(sql, () => session.query(sql, params)),
    script: (sql) => timed(sql, () => session.script(sql)),
  };
}
