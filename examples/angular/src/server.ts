import {
  AngularNodeAppEngine,
  createNodeRequestHandler,
  isMainModule,
  writeResponseToNodeResponse,
} from '@angular/ssr/node';
import { createReadStream, statSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';
import { ShopApi } from './api/shop-api';

const browserFiles = join(import.meta.dirname, '../browser');
const types: Record<string, string> = {
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.map': 'application/json',
};

const engine = new AngularNodeAppEngine();
const api = new ShopApi();

/** The API, then the built files, then the rendered page. */
export const reqHandler = createNodeRequestHandler((request, response) => {
  if (api.handles(request, response) || sendsFile(request, response)) return;
  engine
    .handle(request)
    .then((page) => (page ? writeResponseToNodeResponse(page, response) : fail(response, 404, 'Not found')))
    .catch((error: unknown) => {
      console.error(error);
      fail(response, 500, 'This page could not be rendered');
    });
});

function sendsFile(request: IncomingMessage, response: ServerResponse): boolean {
  const { pathname } = new URL(request.url ?? '/', 'http://localhost');
  const type = types[extname(pathname)];
  const file = join(browserFiles, normalize(pathname));
  if (!type || !statSync(file, { throwIfNoEntry: false })?.isFile()) return false;
  response.writeHead(200, { 'content-type': type });
  createReadStream(file).pipe(response);
  return true;
}

function fail(response: ServerResponse, status: number, message: string): void {
  if (!response.headersSent) response.writeHead(status, { 'content-type': 'text/plain' });
  response.end(message);
}

if (isMainModule(import.meta.url)) {
  const server = createServer((request, response) => void reqHandler(request, response));
  server.listen(Number(process.env['PORT'] ?? 4000), '127.0.0.1', () => {
    console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  });
}
