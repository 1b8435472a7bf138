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
if (args is ["gpu", .. var parts])
    return GpuBenchmarks.Run(parts);
if (args is ["gpu-report", .. var files])
    return GpuReport.Run(files);
#if PACKED
Console.Error.WriteLine("this program was packed without BenchmarkDotNet; its commands are listed in benchmarks/Program.cs");
return 2;
#else
BenchmarkDotNet.Running.BenchmarkSwitcher.FromAssembly(typeof(Conv2DRoofline).Assembly).Run(args);
return 0;
#endif
