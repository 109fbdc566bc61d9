import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { StorageError } from '../../../src/domain/errors.ts';
import { createPgliteDatabase } from '../../../src/storage/database.ts';

/** A folder on a disk of its own; undefined where that cannot be had without being root. */
function smallDisk(megabytes: number): { readonly folder: string; end(): void } | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'crossfade-disk-'));
  chmodSync(folder, 0o755);
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', folder]);
  const end = (): void => {
    if (status === 0) spawnSync('umount', [folder]);
    rmSync(folder, { recursive: true, force: true });
  };
  if (status === 0) return { folder, end };
  end();
  return undefined;
}

const ROW_BYTES = 4_000;
/** A new embedded database takes some 45 MB. */
const DISK_MEGABYTES = 70;

test('a full disk is reported, and no acknowledged write is lost', async ({ skip }) => {
  const disk = smallDisk(DISK_MEGABYTES);
  if (disk === undefined) return skip('no small disk can be mounted');
  try {
    const folder = join(disk.folder, 'journal');
    const database = createPgliteDatabase({ folder });
    await database.script('create table kept (id int primary key, text text)');
    let acknowledged = 0;
    const fill = async (): Promise<void> => {
      for (;;) {
        // Random, or it would be compressed.
        const text = Array.from({ length: ROW_BYTES / 8 }, () =>
          Math.random().toString(36).slice(2, 10),
        ).join('');
        await database.query('insert into kept values ($1, $2)', [acknowledged + 1, text]);
        acknowledged += 1;
      }
    };
    const refusal: unknown = await fill().catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(StorageError);
    expect(refusal).toMatchObject({ effect: 'not_applied', details: { sqlstate: '53100' } });
    const count = 'select count(*) as rows, max(id) as newest from kept';
    expect(await database.query(count)).toEqual([{ rows: acknowledged, newest: acknowledged }]);
    await database.close().catch(() => undefined);

    const filler = join(disk.folder, 'filler');
    expect(() => {
      for (;;) writeFileSync(filler, Buffer.alloc(4_096), { flag: 'a' });
    }).toThrow('ENOSPC');
    await expect(createPgliteDatabase({ folder }).query(count)).rejects.toThrow(
      `Cannot write to the folder ${folder}: ENOSPC`,
    );
    rmSync(filler);
    spawnSync('mount', ['-o', `remount,size=${2 * DISK_MEGABYTES}m`, disk.folder]);
    const again = createPgliteDatabase({ folder });
    expect(await again.query(count)).toEqual([{ rows: acknowledged, newest: acknowledged }]);
    await again.close();
  } finally {
    disk.end();
  }
}, 120_000);
