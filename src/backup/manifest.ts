import { chmod, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Type, type Static } from 'typebox';
import { Value } from 'typebox/value';
import { syncFolder } from './packed-file.ts';

const Count = Type.Integer({ minimum: 0 });
const Sha256 = Type.String({ pattern: '^[0-9a-f]{64}$' });
// Names come from a file that anybody may have written: none leads out of the folder.
const Name = Type.String({ pattern: '^[A-Za-z0-9_][A-Za-z0-9_.-]*$', maxLength: 255 });

// Services name their files as they like, with spaces and in any script: one name, and no way to another folder.
const FileName = Type.String({ pattern: '^(?!\\.{1,2}$)[^/\\\\\\u0000]+$', maxLength: 255 });

const Packed = {
  name: Name,
  bytes: Count,
  sha256: Sha256,
  content_bytes: Count,
  content_sha256: Sha256,
};

const Lanes = Type.Object({
  ...Packed,
  /** Through which door the lanes were read: the store's file, or the service's own protocol. */
  source: Type.Union([Type.Literal('file'), Type.Literal('api')]),
  lanes: Count,
  items: Count,
});

const Store = Type.Object({
  ...Packed,
  kind: Type.Union([Type.Literal('sqlite'), Type.Literal('json')]),
  /** What the service calls the file. */
  original_name: FileName,
});

const Manifest = Type.Object({
  format: Type.Literal(1),
  service: Type.String({ minLength: 1 }),
  made_at: Type.String(),
  made_by: Type.String(),
  time_zone: Type.String(),
  lanes: Type.Array(Lanes, { minItems: 1 }),
  /** Absent where the service's own file is not configured. */
  store: Type.Optional(Store),
  /** Lanes that look different through the file and through the service: it was written to meanwhile. */
  lanes_different: Count,
});

/** What a backup holds, and how to tell that it still does. Lies beside its files as `manifest.json`, written last. */
export type Manifest = Static<typeof Manifest>;
export type LanesFile = Manifest['lanes'][number];
export type StoreFile = NonNullable<Manifest['store']>;

const NAME = 'manifest.json';

export async function writeManifest(folder: string, manifest: Manifest): Promise<void> {
  const path = join(folder, NAME);
  await writeFile(`${path}.part`, `${JSON.stringify(manifest, undefined, 2)}\n`, { flush: true });
  await chmod(`${path}.part`, 0o600);
  await rename(`${path}.part`, path);
  await syncFolder(folder);
}

/** @throws Error where there is none, or none that this version understands */
export async function readManifest(folder: string): Promise<Manifest> {
  const path = join(folder, NAME);
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new Error(`${folder} holds no whole backup: there is no ${NAME}, which is written last`);
  });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error(`${path} is not JSON`);
  }
  if (Value.Check(Manifest, value)) return value;
  const [first] = Value.Errors(Manifest, value);
  throw new Error(
    `${path} is no manifest of format 1: ${first?.instancePath ?? '/'} ${first?.message ?? ''}`,
  );
}
