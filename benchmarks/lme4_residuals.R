# lme4's side of bench_residuals.py: seconds and deviations of every period of a table, as CSV.
#
#   Rscript lme4_residuals.R table.csv
#
# Reading the table is off the clock. lme4's own defaults, but for the derivatives that it checks its result with, which
# cost it time and change nothing.
suppressPackageStartupMessages(library(lme4))
table <- read.csv(commandArgs(trailingOnly = TRUE)[1], colClasses = c(event = "factor", site = "factor"))
cat("period,seconds,cpu_seconds,tau,phi_s2s,phi_ss\n")
for (period in grep("^y", names(table), value = TRUE)) {
  form <- as.formula(paste(period, "~ 1 + (1|event) + (1|site)"))
  clock <- system.time(fitted <- lmer(form, table, control = lmerControl(calc.derivs = FALSE)))
  parts <- as.data.frame(VarCorr(fitted))
  deviation <- setNames(parts$sdcor, parts$grp)
  cat(sprintf("%s,%.6f,%.6f,%.10g,%.10g,%.10g\n", period, clock[["elapsed"]], clock[["user.self"]] + clock[["sys.self"]],
              deviation[["event"]], deviation[["site"]], deviation[["Residual"]]))
}
