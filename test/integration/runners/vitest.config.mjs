export default { test: { include: ['*.vitest.mjs'], reporters: ['verbose'] } };
