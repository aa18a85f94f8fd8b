// The main function of the kernel tests: Catch2's command line.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
