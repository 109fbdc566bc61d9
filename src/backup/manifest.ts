import { chmod, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Type, type Static } from 'typebox';
import { Value } from 'typebox/value';
import { syncFolder } from './packed-file.ts';

const Count = Type.Integer({ minimum: 0 });
const Sha256 = Type.String({ pattern: '^[0-9a-f]{64}$' });
// The manifest may be forged, so no name may lead out of the folder.
const Name = Type.String({ pattern: '^[A-Za-z0-9_][A-Za-z0-9_.-]*$', maxLength: 255 });

// Services may use any file name, with spaces and in any script, but it must not lead to another folder.
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
  /** How the lanes were read: from the store's file, or through the service's own protocol. */
  source: Type.Union([Type.Literal('file'), Type.Literal('api')]),
  lanes: Count,
  items: Count,
});

const Store = Type.Object({
  ...Packed,
  kind: Type.Union([Type.Literal('sqlite'), Type.Literal('json')]),
  /** The service's own name of the file. */
  original_name: FileName,
});

const Manifest = Type.Object({
  format: Type.Literal(1),
  service: Type.String({ minLength: 1 }),
  made_at: Type.String(),
  made_by: Type.String(),
  time_zone: Type.String(),
  lanes: Type.Array(Lanes, { minItems: 1 }),
  /** Absent if the service's own file is not configured. */
  store: Type.Optional(Store),
  /** Lanes that differ between the file and the service, because the service was written to during the backup. */
  lanes_different: Count,
});

/** The contents of a backup, with the digests to verify them. Stored next to its files as `manifest.json`, written last. */
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

/** @throws Error if there is no manifest, or this version cannot read it */
export async function readManifest(folder: string): Promise<Manifest> {
  const path = join(folder, NAME);
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new Error(`${folder} is not a complete backup: ${NAME}, which is written last, is missing`);
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
    `${path} is not a manifest of format 1: ${first?.instancePath ?? '/'} ${first?.message ?? ''}`,
  );
}
