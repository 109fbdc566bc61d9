import { createHash } from 'node:crypto';
import type { Database } from './database.ts';
import type { Seal } from './seal.ts';

interface Row {
  readonly definitions: string;
  readonly read_at: Date;
}

interface KeptFlagStore {
  load(): Promise<{ readonly text: string; readonly readAtMs: number } | undefined>;
  save(text: string): Promise<void>;
  confirm(): Promise<void>;
}

/** The last flags of a server. The text is sealed, because constraints name owners and agents. */
export function createKeptFlags(
  { database, seal }: { readonly database: Database; readonly seal: Seal },
  server: { readonly url: string; readonly apiToken: string },
): KeptFlagStore {
  // The token determines which project and environment the server returns.
  const token = createHash('sha256').update(server.apiToken).digest('hex').slice(0, 16);
  const source = `${server.url} ${token}`;
  return {
    async load() {
      const [row] = await database.query<Row>(
        'select definitions, read_at from kept_flags where source = $1',
        [source],
      );
      return row && { text: seal.open(row.definitions), readAtMs: row.read_at.getTime() };
    },
    async save(text) {
      await database.query(
        `insert into kept_flags (source, definitions) values ($1, $2)
         on conflict (source) do update set definitions = excluded.definitions, read_at = now()`,
        [source, seal.seal(text)],
      );
    },
    async confirm() {
      await database.query('update kept_flags set read_at = now() where source = $1', [source]);
    },
  };
}
