using Diffusion.Gpu.Cli;

return await DiffusionTool.RunAsync(args, new ToolContext(Console.Out, Console.Error));
