import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { SQLInputValue, StatementSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { assertEncodable } from './python-utf8.ts';
import { PythonError, PythonFloat, typeName } from './python-values.ts';
import type { PythonValue } from './python-values.ts';

const SCHEMA = [
  `CREATE TABLE IF NOT EXISTS sessions (
    session_id TEXT PRIMARY KEY,
    user_id TEXT,
    created_at TEXT,
    last_active TEXT,
    metadata TEXT
  )`,
  `CREATE TABLE IF NOT EXISTS interactions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    session_id TEXT,
    timestamp TEXT,
    role TEXT,
    content TEXT,
    metadata TEXT,
    FOREIGN KEY (session_id) REFERENCES sessions (session_id)
  )`,
];

const STATEMENTS = {
  insertSession: 'INSERT INTO sessions VALUES (?, ?, ?, ?, ?)',
  insertInteraction:
    'INSERT INTO interactions (session_id, timestamp, role, content, metadata) VALUES (?, ?, ?, ?, ?)',
  touchSession: 'UPDATE sessions SET last_active = ? WHERE session_id = ?',
  deleteInteractions: 'DELETE FROM interactions WHERE session_id = ?',
  deleteSession: 'DELETE FROM sessions WHERE session_id = ?',
  readSession: 'SELECT metadata FROM sessions WHERE session_id = ?',
  readInteractions:
    'SELECT timestamp, role, content, metadata FROM interactions WHERE session_id = ? ORDER BY timestamp',
  // last_active is naive local time and the parameter is UTC. East of Greenwich sessions live longer, west of it they end at
  // once.
  readExpired: "SELECT session_id FROM sessions WHERE datetime(last_active) < datetime(?, '-1 hour')",
} as const;

type Statement = keyof typeof STATEMENTS;
/** Every column is TEXT. */
export type Row = Readonly<Record<string, string | null>>;

// Python's sqlite3 waits this long for a lock.
const BUSY_TIMEOUT_MS = 5000;
// SQLite's own waits between two attempts. SQLite would block while it waits, which would stop the other services of this
// process.
const BUSY_WAITS_MS = [1, 2, 5, 10, 15, 20, 25, 25, 25, 50, 50, 100];
const SQLITE_BUSY = 5;

export interface SessionDatabaseSettings {
  readonly path: string;
  /** Whether a commit waits for the disk. */
  readonly fsync: boolean;
}

/**
 * The SQLite file as Python's sqlite3 uses it: the first write opens a transaction, and only `commit` ends it. A failed write or
 * commit leaves it open, with its lock and rows, and the next commit includes them.
 */
export class SessionDatabase {
  readonly #settings: SessionDatabaseSettings;
  readonly #prepared = new Map<string, StatementSync>();
  #database: DatabaseSync | undefined;

  constructor(settings: SessionDatabaseSettings) {
    this.#settings = settings;
  }

  async open(): Promise<void> {
    const { path, fsync } = this.#settings;
    mkdirSync(dirname(path), { recursive: true });
    const database = new DatabaseSync(path, { enableForeignKeyConstraints: false, timeout: 0 });
    this.#database = database;
    if (!fsync) database.exec('PRAGMA synchronous = OFF');
    for (const statement of SCHEMA) await patiently(() => database.exec(statement));
  }

  close(): void {
    this.#prepared.clear();
    this.#database?.close();
    this.#database = undefined;
  }

  /** Executes without committing. @throws PythonError */
  async write(statement: Statement, ...values: readonly PythonValue[]): Promise<void> {
    // As in Python, the transaction is already open when a value turns out to be impossible.
    if (!this.#opened().isTransaction) this.#prepare('BEGIN').run();
    const bound = values.map(toSqlite);
    await patiently(() => this.#prepare(STATEMENTS[statement]).run(...bound));
  }

  /** @throws PythonError "database is locked" after 5 s */
  async commit(): Promise<void> {
    if (this.#opened().isTransaction) await patiently(() => this.#prepare('COMMIT').run());
  }

  /** @throws PythonError */
  async read(statement: Statement, ...values: readonly PythonValue[]): Promise<Row[]> {
    const bound = values.map(toSqlite);
    return patiently(() => this.#prepare(STATEMENTS[statement]).all(...bound) as Row[]);
  }

  #opened(): DatabaseSync {
    if (this.#database === undefined) throw new PythonError('Cannot operate on a closed database.');
    return this.#database;
  }

  #prepare(sql: string): StatementSync {
    const known = this.#prepared.get(sql);
    if (known !== undefined) return known;
    const statement = this.#opened().prepare(sql);
    this.#prepared.set(sql, statement);
    return statement;
  }
}

async function patiently<Result>(step: () => Result): Promise<Result> {
  const deadlineMs = performance.now() + BUSY_TIMEOUT_MS;
  for (let attempt = 0; ; attempt += 1) {
    try {
      return step();
    } catch (error) {
      if (!isBusy(error) || performance.now() >= deadlineMs) throw sqliteError(error);
      await sleep(BUSY_WAITS_MS[attempt] ?? 100);
    }
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY;
}

function sqliteError(error: unknown): unknown {
  return error instanceof Error && 'errcode' in error
    ? new PythonError(error.message, { cause: error })
    : error;
}

const INT64_LIMIT = 2n ** 63n;

/** Binds like Python: an int as INTEGER, a float as REAL. A TEXT column turns both into text. */
function toSqlite(value: PythonValue): SQLInputValue {
  if (value === null) return null;
  switch (typeof value) {
    case 'string':
      assertEncodable(value);
      return value;
    case 'boolean':
      return value ? 1n : 0n;
    case 'number':
      return BigInt(value);
    case 'bigint':
      return toInt64(value);
    default:
      if (value instanceof PythonFloat) return value.value;
      throw new PythonError(`Error binding parameter: type '${typeName(value)}' is not supported`);
  }
}

function toInt64(value: bigint): bigint {
  if (value < INT64_LIMIT && value >= -INT64_LIMIT) return value;
  throw new PythonError('Python int too large to convert to SQLite INTEGER');
}
