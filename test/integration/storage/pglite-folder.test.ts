import { fork } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createPgliteDatabase } from '../../../src/storage/database.ts';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'crossfade-database-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('a PGlite folder keeps its data, and can be opened only once at a time', async () => {
  const path = join(folder, 'kept');
  const first = createPgliteDatabase({ folder: path });
  await first.script('create table kept (id int); insert into kept values (7)');
  const second = createPgliteDatabase({ folder: path });
  await expect(second.query('select 1')).rejects.toThrow(`in use by process ${process.pid}`);
  await first.close();
  expect(await second.query('select id from kept')).toEqual([{ id: 7 }]);
  await second.close();
});

test('a PGlite folder of another process is refused until that process is gone', async () => {
  const path = join(folder, 'shared');
  const module = new URL('../../../src/storage/folder-lock.ts', import.meta.url).href;
  const program = join(folder, 'holder.mjs');
  await writeFile(
    program,
    `import { lockFolder } from '${module}'; lockFolder(process.argv[2]); process.send('held'); setInterval(() => {}, 1000);`,
  );
  const holder = fork(program, [path], { execArgv: [] });
  await new Promise((resolve) => holder.once('message', resolve));
  const database = createPgliteDatabase({ folder: path });
  await expect(database.query('select 1')).rejects.toThrow(`in use by process ${holder.pid}`);
  const exited = new Promise((resolve) => holder.once('exit', resolve));
  holder.kill('SIGKILL');
  await exited;
  expect(await database.query('select 1 as one')).toEqual([{ one: 1 }]);
  await database.close();
});

test('a PGlite folder is taken over if its pid belongs to another program now', async () => {
  const path = join(folder, 'reused');
  await mkdir(path, { recursive: true });
  await writeFile(join(path, 'lock'), JSON.stringify({ pid: process.ppid, started: '1' }));
  const database = createPgliteDatabase({ folder: path });
  expect(await database.query('select 1 as one')).toEqual([{ one: 1 }]);
  await database.close();
});

test('only the owner can access the folder of an embedded database', async () => {
  const path = join(folder, 'private');
  const modeOf = async () => (await stat(join(path, 'data'))).mode & 0o777;
  const first = createPgliteDatabase({ folder: path });
  await first.query('select 1');
  expect(await modeOf()).toBe(0o700);
  await first.close();
  await chmod(join(path, 'data'), 0o777);
  const second = createPgliteDatabase({ folder: path });
  await second.query('select 1');
  expect(await modeOf()).toBe(0o700);
  await second.close();
  await truncate(join(path, 'data/global/pg_control'), 100);
  const third = createPgliteDatabase({ folder: path });
  await expect(third.query('select 1')).rejects.toThrow(
    /^The embedded database in \S+ cannot be opened, because its files are damaged or incomplete \(.*\)\. Stop Crossfade, move/,
  );
  await third.close();
});
