import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as transformers from '@huggingface/transformers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createOnnxProvider, type TransformersPackage } from '../../src/orchestrator/embeddings/onnx.ts';
import { ONNX_DIMENSION, writeOnnxModel } from './onnx-model.ts';

let folder: string;

const load = async () => transformers as unknown as TransformersPackage;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'crossfade-onnx-'));
  await writeOnnxModel(folder);
});

afterAll(() => rm(folder, { recursive: true, force: true }));

test('a model in a folder embeds sentences, and near meanings are near', async () => {
  const provider = createOnnxProvider({ folder, model: 'tiny', dimension: ONNX_DIMENSION }, load);
  const [bicycle = [], bike = [], paris = []] = await provider.embed(['bicycle', 'bike', 'paris france']);
  const similarity = (one: ArrayLike<number>, other: ArrayLike<number>) =>
    Array.from(one).reduce((sum, value, index) => sum + value * (other[index] ?? 0), 0);
  expect(similarity(bicycle, bicycle)).toBeCloseTo(1, 5);
  expect(similarity(bicycle, bike)).toBeGreaterThan(0.95);
  expect(similarity(bicycle, paris)).toBeLessThan(0.2);
  await provider.stop();
});

test('a wrong dimension in the settings is an error', async () => {
  const provider = createOnnxProvider({ folder, model: 'tiny', dimension: 384 }, load);
  await expect(provider.embed(['dog'])).rejects.toThrow(
    'tiny returned 4 dimensions, but the settings say 384',
  );
  await provider.stop();
});

test('a folder without a model is an error, and nothing is downloaded', async () => {
  const provider = createOnnxProvider({ folder: join(folder, 'nothing'), model: 'none', dimension: 4 }, load);
  await expect(provider.embed(['dog'])).rejects.toThrow('The ONNX model failed');
});
