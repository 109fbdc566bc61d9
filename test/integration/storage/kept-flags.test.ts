import { expect, test } from 'vitest';
import { createKeptFlags } from '../../../src/storage/kept-flags.ts';
import { createSeal } from '../../../src/storage/seal.ts';
import { onEachJournal } from './each-journal.ts';

const SERVER = { url: 'http://unleash/api', apiToken: 'default:production.secret' };

onEachJournal((database) => {
  test('the last flags of a server are sealed, and separate for each token', async () => {
    const seal = createSeal(Buffer.alloc(32, 7));
    const kept = createKeptFlags({ database: database(), seal }, SERVER);
    expect(await kept.load()).toBeUndefined();
    for (const text of ['{"version":1}', '{"names":"ann"}']) await kept.save(text);
    const last = await createKeptFlags({ database: database(), seal }, SERVER).load();
    expect(last?.text).toBe('{"names":"ann"}');
    expect(Math.abs((last?.readAtMs ?? 0) - Date.now())).toBeLessThan(60_000);
    expect(JSON.stringify(await database().query('select * from kept_flags'))).not.toMatch(/ann|secret/);
    const other = createKeptFlags(
      { database: database(), seal },
      { ...SERVER, apiToken: 'default:test.secret' },
    );
    expect(await other.load()).toBeUndefined();
  });

  test('an unchanged answer updates the time of the stored flags', async () => {
    const kept = createKeptFlags({ database: database(), seal: createSeal(Buffer.alloc(32, 7)) }, SERVER);
    await kept.save('{}');
    await database().query("update kept_flags set read_at = now() - interval '1 day'");
    const before = (await kept.load())?.readAtMs ?? 0;
    await kept.confirm();
    expect(((await kept.load())?.readAtMs ?? 0) - before).toBeGreaterThan(80_000_000);
  });
});
