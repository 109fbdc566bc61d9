// Runs in a worker thread, because node:sqlite blocks its thread while it reads.
import { statSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import type { SqliteAnswer, SqliteQuestion } from './sqlite-reader.ts';

const BUSY_CODES: ReadonlySet<unknown> = new Set([5, 6]);
const PATIENCE_MS = 2_000;
const PAUSE_MS = 10;
const STATEMENT_LIMIT = 64;

const { path } = workerData as { path: string };

interface Opened {
  readonly database: DatabaseSync;
  readonly statements: Map<string, StatementSync>;
  readonly inode: bigint;
}

let opened: Opened | undefined;

/** Opens the file, and opens it again if it was replaced. */
function open(): Opened {
  const { ino } = statSync(path, { bigint: true });
  if (opened?.inode === ino) return opened;
  opened?.database.close();
  opened = undefined;
  const database = new DatabaseSync(path, { readOnly: true, timeout: 50 });
  database.exec('PRAGMA query_only = 1');
  opened = { database, statements: new Map(), inode: ino };
  return opened;
}

function prepare(sql: string): StatementSync {
  const { database, statements } = open();
  const known = statements.get(sql);
  if (known !== undefined) return known;
  if (statements.size >= STATEMENT_LIMIT) statements.clear();
  const statement = database.prepare(sql);
  statements.set(sql, statement);
  return statement;
}

/** Runs one statement to its end, so that its read transaction ends too. */
function all({ sql, parameters }: SqliteQuestion): object[] {
  const statement = prepare(sql);
  try {
    return statement.all(...parameters);
  } catch (error) {
    if ((error as { code?: string }).code !== 'ERR_OUT_OF_RANGE') throw error;
    // The result contains an integer beyond 2^53, so this statement returns BigInts from now on.
    statement.setReadBigInts(true);
    return statement.all(...parameters);
  }
}

function isBusy(error: unknown): boolean {
  const { errcode } = error as { errcode?: unknown };
  return typeof errcode === 'number' && BUSY_CODES.has(errcode & 0xff);
}

async function answer(question: SqliteQuestion): Promise<SqliteAnswer> {
  const endAtMs = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      return { id: question.id, rows: all(question) };
    } catch (error) {
      if (!isBusy(error) || performance.now() >= endAtMs) {
        return { id: question.id, error: error instanceof Error ? error.message : String(error) };
      }
    }
    await sleep(PAUSE_MS);
  }
}

parentPort?.on('message', (question: SqliteQuestion) => {
  void answer(question).then((message) => parentPort?.postMessage(message));
});
