import { randomUUID } from 'node:crypto';
import { open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../domain/errors.ts';
import { parseDefinitions, type Definitions, type Feature } from './definitions.ts';
import { rolloutPercentage, SHARE_OF_STRATEGY } from './rollout-percentage.ts';

/** What a person wants a flag of the files to ask for. */
export interface FlagWish {
  readonly name: string;
  /** Percent. */
  readonly share: number;
  /** What the person saw that it asks for, percent: somebody may have changed it meanwhile. */
  readonly was: number;
}

export type FlagEdit =
  | { readonly result: 'written'; readonly file: string }
  | { readonly result: 'unknown_flag' }
  | { readonly result: 'changed_meanwhile'; readonly asks: number }
  /** The file must be corrected first: nothing is known of the flags after the error. */
  | { readonly result: 'broken_file'; readonly path: string; readonly why: string }
  /** Its definition has no one share that could be set; a person edits the file. */
  | { readonly result: 'not_simple'; readonly why: string };

/** Changes flags in the files that the offline flags are read from. */
export interface FlagFile {
  /**
   * One edit at a time. The file is replaced as a whole: whoever reads it sees it before or after.
   * @param beforeWriting when the edit is known to be possible; what it throws leaves the file alone
   */
  set(wish: FlagWish, beforeWriting: () => Promise<void>): Promise<FlagEdit>;
}

export function createFlagFile(folder: string): FlagFile {
  let last: Promise<unknown> = Promise.resolve();
  return {
    set(wish, beforeWriting) {
      const edit = last.then(() => edited(folder, wish, beforeWriting));
      last = edit.catch(() => undefined);
      return edit;
    },
  };
}

async function edited(folder: string, wish: FlagWish, beforeWriting: () => Promise<void>): Promise<FlagEdit> {
  for (const file of (await readdir(folder)).filter((name) => name.endsWith('.json')).toSorted()) {
    const path = join(folder, file);
    const text = await readFile(path, 'utf8');
    // The first file that defines a flag is the one that is used.
    const parsed = definitionsIn(text);
    if (typeof parsed === 'string') return { result: 'broken_file', path, why: parsed };
    const feature = parsed.features.find(({ name }) => name === wish.name);
    if (feature === undefined) continue;
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

/** What is wrong with the text, where it holds no definitions. */
function definitionsIn(text: string): Definitions | string {
  try {
    return parseDefinitions(text);
  } catch (error) {
    return messageOf(error);
  }
}

interface FeatureChange {
  readonly enabled: boolean;
  /** Of its one strategy. */
  readonly parameters?: Readonly<Record<string, unknown>>;
}

const IS_SHARE = /\.(?:shadow-read|read-cutover|write-cutover)$/;

/** What must be written so that the flag asks for the share, or why it cannot be. */
function changeOf(feature: Feature, share: number): FeatureChange | string {
  const { name, strategies: [strategy, ...others] = [] } = feature;
  if (others.length > 0) return `${name} has ${others.length + 1} strategies`;
  if (strategy === undefined) return switchTo(name, share);
  const has = SHARE_OF_STRATEGY[strategy.name];
  if (has === undefined || has === 'some')
    return `${name} is decided by the strategy ${strategy.name}, which has no share`;
  if (has === 'everything') return switchTo(name, share);
  // A switch is turned off and keeps its share; a share is moved to 0, so that turning the flag on again moves nothing.
  if (share === 0 && !IS_SHARE.test(name)) return { enabled: false };
  const parameters = { ...strategy.parameters, [has.parameter]: String(share) };
  return { enabled: share > 0 || feature.enabled, parameters };
}

function switchTo(name: string, share: number): FeatureChange | string {
  if (share === 0 || share === 100) return { enabled: share === 100 };
  return `${name} is only on or off: its strategy has no share`;
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

/** Beside the file first, durable, and then in its place. Its name while it is written is none that is read. */
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
