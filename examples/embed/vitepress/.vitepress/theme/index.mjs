import DefaultTheme from 'vitepress/theme';

export default {
  extends: DefaultTheme,
  enhanceApp() {
    // Pages are also drawn without a browser, where there are no elements.
    if (!import.meta.env.SSR) void import('loralet/element');
  },
};
