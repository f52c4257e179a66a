export * from './laws/index.ts';
