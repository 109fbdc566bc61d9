import { chmodSync, cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import type { Cleanup } from './cleanup.ts';

/** Where one side keeps its memories. */
export type Store = { readonly folder: string } | { readonly url: string };

/** A store for the orchestrator, and one for the baseline that is made as its copy once it is filled. */
export interface Stores {
  readonly root: string;
  readonly orchestrator: Store;
  /** Nobody may have the first one open. */
  copy(): Promise<Store>;
}

export async function createStores(databaseUrl: string | undefined, cleanup: Cleanup): Promise<Stores> {
  const root = mkdtempSync(join(tmpdir(), 'crossfade-bench-'));
  chmodSync(root, 0o755);
  cleanup.keep({ stop: async () => rmSync(root, { recursive: true, force: true }) });
  if (databaseUrl !== undefined) return createDatabases(root, databaseUrl, cleanup);
  const [filled, copied] = [join(root, 'orchestrator'), join(root, 'bare')];
  return {
    root,
    orchestrator: { folder: filled },
    copy: async () => {
      cpSync(filled, copied, { recursive: true });
      return { folder: copied };
    },
  };
}

/** Databases of their own beside the given one, whose content is left alone. */
async function createDatabases(root: string, databaseUrl: string, cleanup: Cleanup): Promise<Stores> {
  const names = [`crossfade_bench_${process.pid}`, `crossfade_bench_${process.pid}_bare`] as const;
  const [filled, copied] = names;
  cleanup.keep({
    stop: async () => {
      for (const name of names) await execute(databaseUrl, `drop database if exists ${name} with (force)`);
    },
  });
  await execute(databaseUrl, `create database ${filled}`);
  return {
    root,
    orchestrator: { url: urlOf(databaseUrl, filled) },
    copy: async () => {
      await execute(databaseUrl, `create database ${copied} template ${filled}`);
      return { url: urlOf(databaseUrl, copied) };
    },
  };
}

function urlOf(databaseUrl: string, name: string): string {
  const url = new URL(databaseUrl);
  url.pathname = `/${name}`;
  return url.href;
}

async function execute(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
