import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance } from 'fastify';

const OWN = fileURLToPath(new URL('assets/', import.meta.url));

/** The files that browsers load: our own, and the named files of packages. */
export async function registerAssets(app: FastifyInstance): Promise<void> {
  const shared = { decorateReply: false, index: false, maxAge: '1h' } as const;
  await app.register(fastifyStatic, { ...shared, root: OWN, prefix: '/assets/', decorateReply: true });
  await app.register(fastifyStatic, {
    ...shared,
    root: folderOf(import.meta.resolve('@fontsource-variable/inter/wght.css')),
    prefix: '/assets/inter/',
    allowedPath: (path) => path === '/wght.css' || /^\/files\/inter-[a-z-]+-wght-normal\.woff2$/.test(path),
  });
  await app.register(fastifyStatic, {
    ...shared,
    root: folderOf(import.meta.resolve('uplot')),
    prefix: '/assets/uplot/',
    allowedPath: (path) => path === '/uPlot.iife.min.js' || path === '/uPlot.min.css',
  });
}

function folderOf(url: string): string {
  return join(dirname(fileURLToPath(url)), '/');
}
