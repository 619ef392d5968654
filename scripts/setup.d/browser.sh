# shellcheck shell=bash
# A Chromium, and its WebDriver, for the dashboard's tests.

set_up_browser() {
  if (have chromium || have chromium-browser || have google-chrome) && have chromedriver; then
    say "a Chromium and its WebDriver are installed"
    return
  fi
  debian_packages chromium chromium-driver
}
