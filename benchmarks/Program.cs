using BenchmarkDotNet.Running;
using Diffusion.Gpu.Benchmarks;

if (args is ["roofline", .. var options])
    return Conv2DRoofline.Run(options);
if (args is ["branches", ..])
    return InceptionBranches.Run();
if (args is ["frechet"])
    return FrechetBenchmark.Run();
if (args is ["matrix-root"])
    return MatrixRootTable.Run();
if (args is ["sheet", .. var sheet])
    return RooflineSheet.Run(sheet);
BenchmarkSwitcher.FromAssembly(typeof(Conv2DRoofline).Assembly).Run(args);
return 0;
