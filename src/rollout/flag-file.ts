import { randomUUID } from 'node:crypto';
import { open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../domain/errors.ts';
import { parseDefinitions, type Definitions, type Feature } from './definitions.ts';
import { flagProblems } from './flag-file-text.ts';
import { rolloutPercentage, SHARE_OF_STRATEGY } from './evaluation.ts';
import { SerialQueue } from '../shared/serial-queue.ts';

/** The share that a person wants a flag in the files to request. */
interface FlagWish {
  readonly name: string;
  /** Percent. */
  readonly share: number;
  /** The share that the person saw, in percent. Another person may have changed it since. */
  readonly was: number;
}

export type FlagEdit =
  | { readonly result: 'written'; readonly file: string }
  | { readonly result: 'unknown_flag' }
  | { readonly result: 'changed_meanwhile'; readonly asks: number }
  /** The file must be corrected first, because the flags after the error are unknown. */
  | { readonly result: 'broken_file'; readonly path: string; readonly why: string }
  /** The definition has no single share to set, so a person must edit the file. */
  | { readonly result: 'not_simple'; readonly why: string };

/** Changes flags in the flag files. */
export interface FlagFile {
  /**
   * Makes one edit at a time. The file is replaced as a whole, so readers see it before or after the edit.
   * @param beforeWriting called when the edit is possible; if it throws, the file is not changed
   */
  set(wish: FlagWish, beforeWriting: () => Promise<void>): Promise<FlagEdit>;
}

export function createFlagFile(folder: string): FlagFile {
  const edits = new SerialQueue();
  return { set: (wish, beforeWriting) => edits.run(() => edited(folder, wish, beforeWriting)) };
}

async function edited(folder: string, wish: FlagWish, beforeWriting: () => Promise<void>): Promise<FlagEdit> {
  for (const file of (await readdir(folder)).filter((name) => name.endsWith('.json')).toSorted()) {
    const path = join(folder, file);
    const text = await readFile(path, 'utf8');
    // If several files define a flag, the first one is used.
    const parsed = definitionsIn(text);
    if (typeof parsed === 'string') return { result: 'broken_file', path, why: parsed };
    const feature = parsed.features.find(({ name }) => name === wish.name);
    if (feature === undefined) continue;
    const [why] = flagProblems(feature);
    if (why !== undefined) return { result: 'broken_file', path, why };
    const asks = rolloutPercentage(feature);
    if (asks !== wish.was) return { result: 'changed_meanwhile', asks };
    const change = changeOf(feature, wish.share);
    if (typeof change === 'string') return { result: 'not_simple', why: change };
    await beforeWriting();
    await replace(path, withChange(text, wish.name, change));
    return { result: 'written', file };
  }
  return { result: 'unknown_flag' };
}

/** The definitions, or the problem with the text. */
function definitionsIn(text: string): Definitions | string {
  try {
    return parseDefinitions(text);
  } catch (error) {
    return messageOf(error);
  }
}

interface FeatureChange {
  readonly enabled: boolean;
  /** The parameters of its only strategy. */
  readonly parameters?: Readonly<Record<string, unknown>>;
}

const IS_SHARE = /\.(?:shadow-read|read-cutover|write-cutover)$/;

/** The change after which the flag requests the share, or why there is none. */
function changeOf(feature: Feature, share: number): FeatureChange | string {
  const { name, strategies: [strategy, ...others] = [] } = feature;
  if (others.length > 0) return `${name} has ${others.length + 1} strategies`;
  if (strategy === undefined) return switchTo(name, share);
  const has = SHARE_OF_STRATEGY[strategy.name];
  if (has === undefined || has === 'some')
    return `${name} uses the strategy ${strategy.name}, which has no share`;
  if (has === 'everything') return switchTo(name, share);
  // A switch is turned off and keeps its share. A share is set to 0, so that turning the flag on later moves nothing.
  if (share === 0 && !IS_SHARE.test(name)) return { enabled: false };
  const parameters = { ...strategy.parameters, [has.parameter]: String(share) };
  return { enabled: share > 0 || feature.enabled, parameters };
}

function switchTo(name: string, share: number): FeatureChange | string {
  if (share === 0 || share === 100) return { enabled: share === 100 };
  return `${name} can only be on or off, because its strategy has no share`;
}

function withChange(text: string, name: string, { enabled, parameters }: FeatureChange): string {
  const file = JSON.parse(text) as { features: { name: string; enabled: boolean; strategies?: object[] }[] };
  const features = file.features.map((feature) => {
    if (feature.name !== name) return feature;
    const strategies = feature.strategies?.map((strategy) => ({ ...strategy, parameters }));
    return { ...feature, enabled, ...(parameters !== undefined && { strategies }) };
  });
  return `${JSON.stringify({ ...file, features }, null, 2)}\n`;
}

/** Writes a durable temporary file, and then renames it. The temporary name is never read as a flag file. */
async function replace(path: string, text: string): Promise<void> {
  const draft = `${path}.${randomUUID()}.new`;
  try {
    const file = await open(draft, 'wx');
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}
